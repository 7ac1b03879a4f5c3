package httpx

// Page is embedded in inputs of lists: which part of one is asked for.
type Page struct {
	Cursor string `query:"cursor" maxLength:"300" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

// PageByID is a Page of a list whose cursors are ids.
type PageByID struct {
	Cursor string `query:"cursor" pattern:"^[0-9a-f-]{36}$" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

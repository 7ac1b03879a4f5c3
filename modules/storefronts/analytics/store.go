package analytics

import "smartseller/backends"

var eventsTable = &backends.Table{
	Name: "analytics_events",
	Columns: []backends.Column{
		backends.T("id"), backends.NT("customer_id"), backends.T("event"), backends.T("subject"), backends.T("data"), backends.I("occurred_at"),
	},
	References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
}

// Tables are the package's tenant tables.
func Tables() []*backends.Table { return []*backends.Table{eventsTable} }

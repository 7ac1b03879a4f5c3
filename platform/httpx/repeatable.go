package httpx

// Repeatable is embedded in inputs of requests that a client which got no answer may
// send again: with the same key nothing is made twice.
type Repeatable struct {
	IdempotencyKey string `header:"Idempotency-Key" minLength:"1" maxLength:"255" pattern:"^[!-~]*$" doc:"Names the request for a day: sent again with the same key and body, it answers with what it made before"`
}

// Package analytics records what happens at a storefront, so that its seller can
// count it. It is a part of the storefronts module.
package analytics

// Event is something that happened. It holds no personal data.
type Event struct {
	Name       string  // such as "order_placed"
	CustomerID *string // who did it; nil: nobody who is known
	Subject    string  // the id of what it happened to
	Data       string  // a JSON object of numbers and codes
}

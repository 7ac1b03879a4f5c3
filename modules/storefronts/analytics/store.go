package analytics

import (
	"smartseller/backends"
	"smartseller/platform/ids"
)

var eventsTable = &backends.Table{
	Name: "analytics_events",
	Columns: []backends.Column{
		backends.T("id"), backends.NT("customer_id"), backends.T("event"), backends.T("subject"), backends.T("data"), backends.I("occurred_at"),
	},
	References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
}

// Tables are the package's tenant tables.
func Tables() []*backends.Table { return []*backends.Table{eventsTable} }

var insertEvent = backends.Write(eventsTable, `INSERT INTO analytics_events (storefront_id, id, customer_id, event, subject, data, occurred_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7)`)

// Record notes what happened, in the transaction in which it did.
func Record(tx backends.Tx, e Event) error {
	_, err := tx.Exec(insertEvent, ids.New(), e.CustomerID, e.Name, e.Subject, e.Data, tx.Now().UnixMicro())
	return err
}

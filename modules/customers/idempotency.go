package customers

import "smartseller/backends"

var idempotencyTable = &backends.Table{
	Name: "idempotency_keys",
	Columns: []backends.Column{
		backends.T("id"), backends.T("fingerprint"), backends.T("result"), backends.I("created_at"), backends.I("expires_at"),
	},
}

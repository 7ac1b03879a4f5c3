package auth

import "smartseller/backends"

var (
	sessionsTable = &backends.Table{
		Name: "sessions",
		Columns: []backends.Column{
			backends.T("id"), backends.T("customer_id"), backends.I("counter"), backends.B("hmac_key"), backends.T("amr"), backends.T("user_agent"),
			backends.T("ip_prefix"), backends.I("created_at"), backends.I("rotated_at"), backends.I("last_seen_at"), backends.I("idle_expires_at"),
			backends.I("expires_at"), backends.NI("revoked_at"), backends.NT("revoked_reason"),
		},
		References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
	}
	auditTable = &backends.Table{Name: "security_audit", Columns: []backends.Column{
		backends.T("id"), backends.NT("customer_id"), backends.T("event"), backends.T("ip_prefix"), backends.T("user_agent"),
		backends.T("details"), backends.I("at"),
	}}
	identitiesTable = &backends.Table{
		Name: "social_identities",
		Columns: []backends.Column{
			backends.T("id"), backends.T("customer_id"), backends.T("provider"), backends.T("subject"), backends.T("email"), backends.I("created_at"),
		},
		Uniques:    []backends.Unique{{Name: "social_identities_subject", Columns: []string{"provider", "subject"}}},
		References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
	}
	tokensTable = &backends.Table{
		Name: "one_time_tokens",
		Columns: []backends.Column{
			backends.T("id"), backends.T("customer_id"), backends.T("purpose"), backends.B("token_hash"), backends.T("email_key"),
			backends.I("created_at"), backends.I("expires_at"), backends.NI("used_at"),
		},
		Uniques:    []backends.Unique{{Name: "one_time_tokens_hash", Columns: []string{"token_hash"}}},
		References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
	}
	outboxTable = &backends.Table{
		Name: "mail_outbox",
		Columns: []backends.Column{
			backends.T("id"), backends.NT("customer_id"), backends.T("template"), backends.T("recipient"), backends.T("data"),
			backends.I("created_at"), backends.I("due_at"), backends.I("attempts"), backends.NI("claimed_at"), backends.NI("sent_at"),
		},
		References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
	}
)

// Tables are the module's tenant tables.
func Tables() []*backends.Table {
	return []*backends.Table{sessionsTable, auditTable, identitiesTable, tokensTable, outboxTable}
}

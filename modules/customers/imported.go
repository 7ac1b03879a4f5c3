package customers

import "smartseller/backends"

// Imported is a customer who comes from another shop. They have no password and an
// address that nobody has verified: they come in by a reset of the password.
type Imported struct {
	ID, ExternalID             string // the second is their id at the other shop
	Email, EmailKey            string
	FirstName, LastName, Phone string
	Marketing, TaxExempt       bool
	Note, Tags                 string
	AddressID                  string
	Address                    *AddressFields // the default one; nil: none
}

// Account is what tells one account from another.
type Account struct {
	ID              string  `db:"id"`
	EmailKey        string  `db:"email_key"`
	ExternalID      *string `db:"external_id"` // nil: it was made here
	EmailVerifiedAt *int64  `db:"email_verified_at"`
}

// Holds says whether orders under the account's e-mail address are known to be its
// owner's: an account that was made here under an address nobody has verified may
// be somebody else's.
func (a *Account) Holds() bool { return a.ExternalID != nil || a.EmailVerifiedAt != nil }

var (
	accountsByID = backends.Read(`SELECT id, email_key, external_id, email_verified_at FROM customers
		WHERE storefront_id = $1 AND id IN ($2)`)
	accountsByEmailKey = backends.Read(`SELECT id, email_key, external_id, email_verified_at FROM customers
		WHERE storefront_id = $1 AND email_key IN ($2)`)
	insertImported = backends.Write(customersTable, `INSERT INTO customers (storefront_id, id, external_id, email, email_key, cred, status, first_name,
		last_name, phone, locale, marketing, tax_exempt, note, tags, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, 1, 'active', $6, $7, $8, '', $9, $10, $11, $12, $13, $13, 1)`)
)

// AccountsByID finds those of up to backends.MaxList ids that there are.
func AccountsByID(tx backends.Tx, ids backends.List) (found []Account, err error) {
	err = tx.Select(&found, accountsByID, ids)
	return found, err
}

// AccountsByEmailKey finds those of up to backends.MaxList keys that there are.
func AccountsByEmailKey(tx backends.Tx, keys backends.List) (found []Account, err error) {
	err = tx.Select(&found, accountsByEmailKey, keys)
	return found, err
}

// InsertImported adds accounts with their addresses, in a few round trips however
// many they are. An e-mail address or external id that is taken is a
// backends.UniqueError.
func InsertImported(tx backends.Tx, added []Imported) error {
	now := tx.Now().UnixMicro()
	rows, addresses := make([][]any, 0, len(added)), [][]any(nil)
	for i := range added {
		c := &added[i]
		rows = append(rows, []any{
			c.ID, c.ExternalID, c.Email, c.EmailKey, c.FirstName, c.LastName, c.Phone, c.Marketing, c.TaxExempt, c.Note, c.Tags, now,
		})
		if a := c.Address; a != nil {
			addresses = append(addresses, []any{
				c.AddressID, c.ID, a.FirstName, a.LastName, a.Company, a.Line1, a.Line2, a.City, a.Province, a.PostalCode, a.Country, a.Phone, true, now,
			})
		}
	}
	if _, err := tx.ExecMany(insertImported, rows); err != nil {
		return err
	}
	_, err := tx.ExecMany(insertAddress, addresses)
	return err
}

package customers

import (
	"database/sql"
	"errors"

	"smartseller/backends"
)

var customersTable = &backends.Table{
	Name: "customers",
	Columns: []backends.Column{
		backends.T("id"), backends.NT("external_id"), backends.T("email"), backends.T("email_key"), backends.NI("email_verified_at"),
		backends.NT("password_hash"), backends.I("cred"), backends.T("status"), backends.T("first_name"), backends.T("last_name"),
		backends.T("phone"), backends.T("locale"), backends.I("marketing"), backends.I("tax_exempt"), backends.T("note"), backends.T("tags"),
		backends.I("created_at"), backends.I("updated_at"), backends.I("version"),
	},
	Uniques: []backends.Unique{
		{Name: "customers_email", Columns: []string{"email_key"}},
		{Name: "customers_external", Columns: []string{"external_id"}},
	},
}

// Tables are the module's tenant tables.
func Tables() []*backends.Table {
	return []*backends.Table{customersTable, addressesTable, idempotencyTable}
}

var (
	insertCustomer = backends.Write(customersTable, `INSERT INTO customers (storefront_id, id, email, email_key, password_hash, cred, status, first_name,
		last_name, phone, locale, marketing, tax_exempt, note, tags, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, 1, 'active', $6, $7, '', '', $8, 0, '', '', $9, $9, 1)`)
	selectByEmail = backends.Read(`SELECT id, email, email_key, email_verified_at, password_hash, cred, status, first_name, last_name, phone, locale,
		marketing, created_at, updated_at, version FROM customers WHERE storefront_id = $1 AND email_key = $2`)
	selectByID = backends.Read(`SELECT id, email, email_key, email_verified_at, password_hash, cred, status, first_name, last_name, phone, locale,
		marketing, created_at, updated_at, version FROM customers WHERE storefront_id = $1 AND id = $2`)
	lockByID = backends.Lock(`SELECT id, email, email_key, email_verified_at, password_hash, cred, status, first_name, last_name, phone, locale,
		marketing, created_at, updated_at, version FROM customers WHERE storefront_id = $1 AND id = $2`)
	updateProfile = backends.Write(customersTable, `UPDATE customers SET first_name = $3, last_name = $4, phone = $5, locale = $6, marketing = $7,
		updated_at = $8, version = version + 1 WHERE storefront_id = $1 AND id = $2 AND version = $9`)
	raiseCred = backends.Write(customersTable, `UPDATE customers SET cred = cred + 1 WHERE storefront_id = $1 AND id = $2`)
)

// Key names a customer's row, as a move sees it.
func Key(id string) backends.Key { return backends.Key{Table: customersTable.Name, ID: id} }

// Accounts is the table of customers.
func Accounts() *backends.Table { return customersTable }

// StoredPassword is what a customer's row, as a move sees it, holds of the
// password; ok is false when there is none.
func StoredPassword(row backends.Row) (hash string, ok bool) {
	hash, ok = row[customersTable.Column("password_hash")].(string)
	return hash, ok
}

// Insert adds a new account; ErrEmailTaken when the address has one.
func Insert(tx backends.Tx, c *Customer) error {
	_, err := tx.Exec(insertCustomer, c.ID, c.Email, c.EmailKey, c.PasswordHash, c.FirstName, c.LastName, c.Marketing, tx.Now().UnixMicro())
	var taken *backends.UniqueError
	if errors.As(err, &taken) && taken.Key == "customers_email" {
		return ErrEmailTaken.Because(err)
	}
	return err
}

// ByEmailKey finds an account; ErrNotFound when there is none.
func ByEmailKey(tx backends.Tx, key string) (*Customer, error) { return find(tx, selectByEmail, key) }

// ByID finds an account; ErrNotFound when there is none.
func ByID(tx backends.Tx, id string) (*Customer, error) { return find(tx, selectByID, id) }

// Hold finds an account as ByID does and keeps it as it is until the transaction
// ends, for writes that must not outlive it.
func Hold(tx backends.Tx, id string) (*Customer, error) { return find(tx, lockByID, id) }

// RaiseCred makes every access token that a customer was given so far invalid.
func RaiseCred(tx backends.Tx, id string) error {
	_, err := tx.Exec(raiseCred, id)
	return err
}

func find(tx backends.Tx, by *backends.Statement, value string) (*Customer, error) {
	var c Customer
	return orNotFound(&c, tx.Get(&c, by, value))
}

func orNotFound(c *Customer, err error) (*Customer, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return c, err
}

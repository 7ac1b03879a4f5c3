package customers

import (
	"database/sql"
	"errors"

	"smartseller/backends"
)

var addressesTable = &backends.Table{
	Name: "addresses",
	Columns: []backends.Column{
		backends.T("id"), backends.T("customer_id"), backends.T("first_name"), backends.T("last_name"), backends.T("company"), backends.T("line1"),
		backends.T("line2"), backends.T("city"), backends.T("province"), backends.T("postal_code"), backends.T("country"), backends.T("phone"),
		backends.I("is_default"), backends.I("created_at"), backends.I("updated_at"), backends.I("version"),
	},
	Uniques:    []backends.Unique{{Name: "addresses_default", Columns: []string{"customer_id"}, Where: "is_default = 1"}},
	References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
}

var (
	countAddresses  = backends.Read(`SELECT count(*) FROM addresses WHERE storefront_id = $1 AND customer_id = $2`)
	selectAddress   = backends.Read(`SELECT id, customer_id, first_name, last_name, company, line1, line2, city, province, postal_code, country, phone, is_default, created_at, updated_at, version FROM addresses WHERE storefront_id = $1 AND customer_id = $2 AND id = $3`)
	selectDefault   = backends.Read(`SELECT id, customer_id, first_name, last_name, company, line1, line2, city, province, postal_code, country, phone, is_default, created_at, updated_at, version FROM addresses WHERE storefront_id = $1 AND customer_id = $2 AND is_default = 1`)
	selectAddresses = backends.Read(`SELECT id, customer_id, first_name, last_name, company, line1, line2, city, province, postal_code, country, phone, is_default, created_at, updated_at, version FROM addresses WHERE storefront_id = $1 AND customer_id = $2 AND id > $3 ORDER BY id LIMIT $4`)
	insertAddress   = backends.Write(addressesTable, `INSERT INTO addresses (storefront_id, id, customer_id, first_name, last_name, company, line1, line2, city,
		province, postal_code, country, phone, is_default, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, 1)`)
	updateAddress = backends.Write(addressesTable, `UPDATE addresses SET first_name = $4, last_name = $5, company = $6, line1 = $7, line2 = $8, city = $9,
		province = $10, postal_code = $11, country = $12, phone = $13, updated_at = $14, version = version + 1
		WHERE storefront_id = $1 AND customer_id = $2 AND id = $3 AND version = $15`)
	deleteAddress = backends.Write(addressesTable, `DELETE FROM addresses WHERE storefront_id = $1 AND customer_id = $2 AND id = $3 RETURNING is_default`)
	demoteDefault = backends.Write(addressesTable, `UPDATE addresses SET is_default = 0, updated_at = $3, version = version + 1
		WHERE storefront_id = $1 AND customer_id = $2 AND is_default = 1`)
	promote = backends.Write(addressesTable, `UPDATE addresses SET is_default = 1, updated_at = $4, version = version + 1
		WHERE storefront_id = $1 AND customer_id = $2 AND id = $3`)
	promoteNewest = backends.Write(addressesTable, `UPDATE addresses SET is_default = 1, updated_at = $3, version = version + 1 WHERE storefront_id = $1
		AND id = (SELECT id FROM addresses WHERE storefront_id = $1 AND customer_id = $2 ORDER BY id DESC LIMIT 1)`)
)

// FindAddress reads one of a customer's addresses, the default for the id "";
// ErrNoAddress also for another customer's.
func FindAddress(tx backends.Tx, customer, id string) (*Address, error) {
	if id == "" {
		return oneAddress(tx, selectDefault, customer)
	}
	return findAddress(tx, customer, id)
}

func findAddress(tx backends.Tx, customer, id string) (*Address, error) {
	return oneAddress(tx, selectAddress, customer, id)
}

func oneAddress(tx backends.Tx, by *backends.Statement, args ...any) (*Address, error) {
	var a Address
	return orNoAddress(&a, tx.Get(&a, by, args...))
}

func orNoAddress(a *Address, err error) (*Address, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoAddress
	}
	return a, err
}

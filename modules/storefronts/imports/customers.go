package imports

import (
	"strconv"
	"strings"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/modules/storefronts/shopify"
	"smartseller/platform/ids"
)

// named is the id of what an export calls by a key of its own: the same at every
// import into the storefront, so that what is there already is found. Keys that are
// numbers grow from record to record, and the ids with them.
func (j *job) named(what, key string) string { return j.part(what, key, 0) }

// part is the id of a part of what has the key.
func (j *job) part(what, key string, position int) string {
	number, err := strconv.ParseUint(key, 10, 64)
	if err != nil {
		number = 0
	}
	return ids.Named(number, string(j.shop.ID), Shopify, what, key, strconv.Itoa(position))
}

// customers adds those of a batch who have no account yet. Of several with one e-mail
// address the first has it.
func (j *job) customers(tx backends.Tx, batch []*shopify.Customer) (*tally, error) {
	t := newTally()
	wanted, emailKeys := make(backends.List, len(batch)), make(backends.List, len(batch))
	for n, c := range batch {
		wanted[n] = j.named("customer", c.ID)
		if key, err := customers.EmailKey(c.Email); err == nil {
			emailKeys[n] = key
		}
	}
	byID, err := customers.AccountsByID(tx, wanted)
	if err != nil {
		return nil, err
	}
	byKey, err := customers.AccountsByEmailKey(tx, emailKeys)
	if err != nil {
		return nil, err
	}
	known, taken := map[string]bool{}, map[string]string{} // ids; why nobody else can have an address
	for _, a := range byID {
		known[a.ID] = true
	}
	for _, a := range byKey {
		taken[a.EmailKey] = accountExists
		if a.ExternalID != nil {
			taken[a.EmailKey] = sameEmail
		}
	}
	var added []customers.Imported
	for n, c := range batch {
		id, key := wanted[n], emailKeys[n]
		switch {
		case known[id]:
			t.unchanged++
		case c.Email == "":
			t.omit(c.Line, noEmail)
		case key == "":
			t.omit(c.Line, invalidEmail)
		case taken[key] != "":
			t.omit(c.Line, taken[key])
		default:
			known[id], taken[key] = true, sameEmail
			added = append(added, j.customer(t, c, id, key))
		}
	}
	return t, customers.InsertImported(tx, added)
}

// customer is the account of one; what the storefront would not take of a customer
// either is left out.
func (j *job) customer(t *tally, c *shopify.Customer, id, key string) customers.Imported {
	t.imported++
	phone := func(given string) string {
		number := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(given)
		if customers.CheckPhone(number) != nil {
			t.omit(c.Line, phoneOut)
			return ""
		}
		return number
	}
	name := func(given string) string {
		if customers.CheckName("", given) != nil {
			t.omit(c.Line, nameOut)
			return ""
		}
		return given
	}
	made := customers.Imported{
		ID: id, ExternalID: c.ID, Email: c.Email, EmailKey: key, FirstName: name(c.FirstName), LastName: name(c.LastName), Phone: phone(c.Phone),
		Marketing: c.Marketing, TaxExempt: c.TaxExempt, Note: c.Note, Tags: c.Tags,
	}
	if c.Address == (shopify.CustomerAddress{}) {
		return made
	}
	a := customers.AddressFields{
		FirstName: made.FirstName, LastName: made.LastName, Company: c.Address.Company, Line1: c.Address.Line1, Line2: c.Address.Line2, City: c.Address.City,
		Province: c.Address.Province, PostalCode: c.Address.PostalCode, Country: c.Address.Country, Phone: phone(c.Address.Phone),
	}
	if a.Check() != nil {
		t.omit(c.Line, addressOut)
		return made
	}
	t.parts["addresses"]++
	made.AddressID, made.Address = j.named("address", c.ID), &a
	return made
}

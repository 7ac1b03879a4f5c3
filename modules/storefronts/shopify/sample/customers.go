package sample

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

const customerColumns = "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1," +
	"Default Address Address2,Default Address City,Default Address Province Code,Default Address Country Code,Default Address Zip," +
	"Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags"

// What a customer's e-mail address is.
type addressKind int

const (
	ordinary addressKind = iota
	blank
	invalid
	duplicate // of an earlier customer's
)

type customer struct {
	kind               addressKind
	first, last, email string
	street, apartment  string
	place              place
}

func (s Shop) kindOf(n int) addressKind {
	if n == 0 { // duplicates need one to be of
		return ordinary
	}
	switch r := s.random(duplicateSalt, n).IntN(200); {
	case r < 3:
		return blank
	case r < 4:
		return invalid
	case r < 8:
		return duplicate
	}
	return ordinary
}

func (s Shop) customer(n int) customer {
	r := s.random(customerSalt, n)
	c := customer{
		kind: s.kindOf(n), first: pick(r, firstNames), last: pick(r, lastNames), place: pick(r, places),
		street: fmt.Sprintf("%d Mill Lane", 1+r.IntN(9999)), apartment: pick(r, []string{"", "", "", "Apt 4"}),
	}
	if chance(r, 20) {
		c.street = fmt.Sprintf(`%d Rue "Haute"`, 1+r.IntN(200))
	}
	switch c.kind {
	case ordinary:
		c.email = fmt.Sprintf("%s.%d@%s", cmp.Or(plainLetters(c.first+c.last), "buyer"), n, pick(r, domains))
	case invalid:
		c.email = fmt.Sprintf("no address %d", n)
	case duplicate:
		earlier := r.IntN(n)
		for s.kindOf(earlier) != ordinary {
			earlier--
		}
		c.email = strings.ToUpper(s.customer(earlier).email)
	}
	return c
}

// WriteCustomers writes the customer export, which begins with a byte order mark.
func (s Shop) WriteCustomers(w io.Writer) (e ExpectedCustomers, err error) {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return e, err
	}
	t, err := newTable(w, customerColumns)
	if err != nil {
		return e, err
	}
	for n := range s.Customers {
		c := s.customer(n)
		r := s.random(customerSalt, s.Customers+n)
		row := map[string]string{
			"Customer ID": fmt.Sprintf("'%d", 7000000000000+32*n), "First Name": c.first, "Last Name": c.last, "Email": c.email,
			"Accepts Email Marketing": pick(r, []string{"yes", "no"}), "Default Address Company": pick(r, companies),
			"Default Address Address1": c.street, "Default Address Address2": c.apartment, "Default Address City": c.place.city,
			"Default Address Province Code": c.place.province, "Default Address Country Code": c.place.country,
			"Default Address Zip": "'" + c.place.zip, "Default Address Phone": fmt.Sprintf("'+491%09d", r.IntN(1e9)),
			"Accepts SMS Marketing": "no", "Total Spent": "0.00", "Total Orders": "0", "Note": pick(r, notes), "Tax Exempt": "no", "Tags": pick(r, tags),
		}
		if chance(r, 2) {
			row["Phone"] = fmt.Sprintf("'+3161%07d", r.IntN(1e7))
		}
		if err := t.add(row); err != nil {
			return e, err
		}
		e.Rows++
		switch c.kind {
		case ordinary:
			e.Importable++
		case blank:
			e.Blank++
		case invalid:
			e.Invalid++
		case duplicate:
			e.Duplicate++
		}
	}
	return e, t.end()
}

package auth

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/crypto/bcrypt"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/platform/ids"
)

// canaryPages and canaryRows bound how many sessions, and how many customers, the canary
// looks at.
const (
	canaryPages = 8
	canaryRows  = 5
)

// Canary proves on a random sample that customers could go on at a copy of their
// storefront: a refresh token made from a session's key at the source is accepted by
// the session at the target, revoked ones stay revoked, and stored passwords, of who has a
// session and of who has none, are there and of a form that can be checked. The error names
// sessions and customers by id.
func Canary(_ context.Context, source, target backends.Reader) (found string, err error) {
	held, err := sample(source, sessionsTable)
	if err != nil {
		return "", err
	}
	accounts, err := sample(source, customers.Accounts())
	if err != nil {
		return "", err
	}
	people := map[backends.Key]bool{}
	for id := range accounts {
		people[customers.Key(id)] = true
	}
	var keys []backends.Key
	for id, row := range held {
		people[ownerOf(row)] = true
		keys = append(keys, backends.Key{Table: sessionsTable.Name, ID: id})
	}
	keys = slices.AppendSeq(keys, maps.Keys(people))
	there, err := source.Rows(keys)
	if err != nil {
		return "", err
	}
	copied, err := target.Rows(keys)
	if err != nil {
		return "", err
	}
	for id, row := range held {
		if err := sameSession(row, copied[backends.Key{Table: sessionsTable.Name, ID: id}]); err != nil {
			return "", err
		}
	}
	for who := range people {
		if err := samePassword(who, there, copied); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d sessions and the passwords of %d customers work at the target", len(held), len(people)), nil
}

// sample reads pages of a table behind random points between its first and its last key, and
// returns the rows by their ids. Ids begin with their time, so these are random times.
func sample(r backends.Reader, t *backends.Table) (map[string]backends.Row, error) {
	sample := map[string]backends.Row{}
	first, _, err := r.Scan(t, "", "", 1)
	if err != nil || len(first) == 0 {
		return sample, err
	}
	last, err := r.LastKey(t)
	if err != nil {
		return nil, err
	}
	for range canaryPages {
		after, err := ids.Between(first[0].Key(), last)
		if err != nil {
			return nil, err
		}
		rows, _, err := r.Scan(t, after, "", canaryRows)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			sample[row.Key()] = row
		}
	}
	return sample, nil
}

// canaryError is what is wrong with a row, which the mover asks for: it does not count
// while that row changes.
type canaryError struct {
	row  backends.Key
	text string
}

func (e *canaryError) Error() string     { return e.text }
func (e *canaryError) Row() backends.Key { return e.row }

func wrong(row backends.Key, format string) error {
	return &canaryError{row, fmt.Sprintf(format, row.ID)}
}

func sameSession(source, target backends.Row) error {
	key := backends.Key{Table: sessionsTable.Name, ID: source.Key()}
	if target == nil {
		return wrong(key, "session %s is not at the target: its customer would be logged out")
	}
	at := func(r backends.Row, column string) any { return r[sessionsTable.Column(column)] }
	token, err := newRefresh("00000000-0000-7000-8000-000000000000", source.Key(), at(source, "counter").(int64), at(source, "hmac_key").([]byte))
	if err != nil {
		return fmt.Errorf("session %s: %w", source.Key(), err)
	}
	r, err := parseRefresh(token)
	if err != nil || !r.signedBy(at(target, "hmac_key").([]byte)) || r.counter != at(target, "counter").(int64) {
		return wrong(key, "a refresh token of session %s is not accepted at the target")
	}
	if at(source, "revoked_at") != at(target, "revoked_at") {
		return wrong(key, "session %s is revoked at one place alone")
	}
	return nil
}

// samePassword is compared by its stored form: the password itself nobody knows.
func samePassword(owner backends.Key, source, target map[backends.Key]backends.Row) error {
	from, to := source[owner], target[owner]
	if from == nil && to == nil {
		return nil // erased: the session is a leftover
	}
	if from == nil || to == nil {
		return wrong(owner, "customer %s is at one place alone")
	}
	hash, has := customers.StoredPassword(from)
	copied, alsoHas := customers.StoredPassword(to)
	if hash != copied || has != alsoHas {
		return wrong(owner, "the password of customer %s is another one at the target")
	}
	if _, err := bcrypt.Cost([]byte(copied)); has && err != nil {
		return wrong(owner, "the stored password of customer %s cannot be checked")
	}
	return nil
}

func ownerOf(session backends.Row) backends.Key {
	return customers.Key(session[sessionsTable.Column("customer_id")].(string))
}

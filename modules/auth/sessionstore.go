package auth

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/modules/customers"
	"smartseller/platform/ids"
)

var (
	insertSessionText = backends.Write(sessionsTable, `INSERT INTO sessions (storefront_id, id, customer_id, counter, hmac_key, amr, user_agent, ip_prefix,
		created_at, rotated_at, last_seen_at, idle_expires_at, expires_at) VALUES ($1, $2, $3, $4, $5, 'pwd', $6, $7, $8, $8, $8, $9, $10)`)
	// One statement, since it is asked with every request of a customer.
	selectSessionOwner = backends.Read(`SELECT s.idle_expires_at, s.expires_at, s.revoked_at, c.status, c.cred
		FROM sessions AS s JOIN customers AS c ON c.storefront_id = $1 AND c.id = s.customer_id
		WHERE s.storefront_id = $1 AND s.id = $2 AND s.customer_id = $3`)
	findSessionText = backends.Read(`SELECT id, customer_id, hmac_key FROM sessions WHERE storefront_id = $1 AND id = $2`)
	lockSessionText = backends.Lock(`SELECT id, customer_id, counter, hmac_key, user_agent, ip_prefix, rotated_at, idle_expires_at, expires_at,
		revoked_at, revoked_reason FROM sessions WHERE storefront_id = $1 AND id = $2`)
	rotateSessionText = backends.Write(sessionsTable, `UPDATE sessions SET counter = $3, rotated_at = $4, last_seen_at = $4, idle_expires_at = $5
		WHERE storefront_id = $1 AND id = $2`)
	revokeSessionText = backends.Write(sessionsTable, `UPDATE sessions SET revoked_at = $3, revoked_reason = $4
		WHERE storefront_id = $1 AND id = $2 AND revoked_at IS NULL`)
	revokeOthersText = backends.Write(sessionsTable, `UPDATE sessions SET revoked_at = $4, revoked_reason = $5
		WHERE storefront_id = $1 AND customer_id = $2 AND id <> $3 AND revoked_at IS NULL`)
	deleteEnded = backends.Write(sessionsTable, `DELETE FROM sessions WHERE storefront_id = $1 AND id IN
		(SELECT id FROM sessions WHERE storefront_id = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT 1000)`)
	insertAudit = backends.Write(auditTable, `INSERT INTO security_audit (storefront_id, id, customer_id, event, ip_prefix, user_agent, details, at)
		VALUES ($1, $2, $3, $4, $5, $6, '{}', $7)`)
	// By the key, which has the time in it: that needs no other index.
	deleteOldAudit = backends.Write(auditTable, `DELETE FROM security_audit WHERE storefront_id = $1 AND id IN
		(SELECT id FROM security_audit WHERE storefront_id = $1 AND id < $2 ORDER BY id LIMIT 1000)`)
)

type session struct {
	ID        string  `db:"id"`
	Customer  string  `db:"customer_id"`
	Counter   int64   `db:"counter"`
	Key       []byte  `db:"hmac_key"`
	UserAgent string  `db:"user_agent"`
	Prefix    string  `db:"ip_prefix"`
	RotatedAt int64   `db:"rotated_at"`
	IdleUntil int64   `db:"idle_expires_at"`
	Until     int64   `db:"expires_at"`
	RevokedAt *int64  `db:"revoked_at"`
	Why       *string `db:"revoked_reason"`
}

// Why sessions end.
const (
	byLogout       = "logout"
	byGlobalLogout = "global_logout" // of all of the customer's
	byReuse        = "refresh_reuse"
)

func (s *session) alive(now time.Time) bool {
	return s.RevokedAt == nil && now.UnixMicro() < min(s.IdleUntil, s.Until)
}

// sessionOwner is what selectSessionOwner says of a session and its customer.
type sessionOwner struct {
	session
	customers.Customer
}

func insertSession(tx backends.Tx, s *session) error {
	now := tx.Now()
	_, err := tx.Exec(insertSessionText, s.ID, s.Customer, s.Counter, s.Key, s.UserAgent, s.Prefix,
		now.UnixMicro(), now.Add(sessionIdle).UnixMicro(), now.Add(sessionLife).UnixMicro())
	if err != nil || !strings.HasSuffix(s.ID, "00") {
		return err
	}
	// One in 256 forgets, for the others, sessions that nobody could use any more.
	_, err = tx.Exec(deleteEnded, now.Add(-time.Hour).UnixMicro()) // late, for instances whose clocks differ
	return err
}

// lockSession finds a session; nil when there is none.
func lockSession(tx backends.Tx, id string) (*session, error) {
	return getSession(tx, lockSessionText, id)
}

// findSession finds out whose a session is, and its key; nil when there is none.
func findSession(tx backends.Tx, id string) (*session, error) {
	return getSession(tx, findSessionText, id)
}

func getSession(tx backends.Tx, by *backends.Statement, id string) (*session, error) {
	var s session
	err := tx.Get(&s, by, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &s, err
}

func rotateSession(tx backends.Tx, s *session) error {
	_, err := tx.Exec(rotateSessionText, s.ID, s.Counter, tx.Now().UnixMicro(), tx.Now().Add(sessionIdle).UnixMicro())
	return err
}

func revokeSession(tx backends.Tx, id, reason string) error {
	_, err := tx.Exec(revokeSessionText, id, tx.Now().UnixMicro(), reason)
	return err
}

// revokeOthers ends all of the customer's sessions but the one that is held.
func revokeOthers(tx backends.Tx, held *session, reason string) error {
	_, err := tx.Exec(revokeOthersText, held.Customer, held.ID, tx.Now().UnixMicro(), reason)
	return err
}

// audit notes what happened to a customer's account; keep is for how long, 0: for ever.
func audit(tx backends.Tx, keep time.Duration, id, customer, event string, from Client) error {
	_, err := tx.Exec(insertAudit, id, customer, event, from.prefix(), cut(from.UserAgent, 200), tx.Now().UnixMicro())
	if err != nil || keep == 0 || !strings.HasSuffix(id, "00") {
		return err
	}
	// One in 256 forgets, for the others, what is older than that.
	_, err = tx.Exec(deleteOldAudit, ids.First(tx.Now().Add(-keep)))
	return err
}

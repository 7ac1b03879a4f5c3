package customers

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

// keyLife is how long a request may be sent again with the same key.
const keyLife = 24 * time.Hour

// Errors of requests that come again.
var (
	ErrKeyReused = fault.New(fault.Invalid, "idempotency_key_reused", "The Idempotency-Key was used for another request: send this one with a key of its own.")
	ErrMadeGone  = fault.New(fault.Gone, "made_and_deleted", "The request was carried out before, and what it made has been deleted since.")
)

// Request is one that its client may send again: an Idempotency-Key names it. What
// is kept of it are digests under our own key, since it may hold personal data.
type Request struct{ id, fingerprint string }

// NewRequest makes the request that a key names among those of one principal (who
// asks, or where from) for one operation; nil for the empty key. input is what the
// request asks for, without any secret.
func NewRequest(keys *crypto.Keyring, principal, operation, key string, input any) (*Request, error) {
	if key == "" {
		return nil, nil
	}
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	return &Request{
		id:          hex.EncodeToString(keys.HMAC("idempotency key", []byte(principal), []byte(operation), []byte(key))),
		fingerprint: hex.EncodeToString(keys.HMAC("idempotency fingerprint", text)),
	}, nil
}

// Once carries out a request that makes the thing with this id, unless it was
// carried out before: then write does not run, and made is the id from then. Both
// happen in the request's own transaction, so a request that failed may be sent
// again, and one that comes while the same is under way waits for it. ErrKeyReused
// when the key named another request. Without a request, write runs.
func Once(tx backends.Tx, r *Request, id string, write func() error) (made string, err error) {
	if r == nil {
		return id, write()
	}
	now := tx.Now()
	var taken int64
	err = tx.Get(&taken, takeKey, r.id, r.fingerprint, id, now.UnixMicro(), now.Add(keyLife).UnixMicro())
	if errors.Is(err, sql.ErrNoRows) {
		return r.before(tx)
	}
	if err != nil {
		return "", err
	}
	if err := r.sweep(tx); err != nil {
		return "", err
	}
	return id, write()
}

// before is what the request made when it came first.
func (r *Request) before(tx backends.Tx) (string, error) {
	var kept struct {
		Fingerprint string `db:"fingerprint"`
		Result      string `db:"result"`
	}
	if err := tx.Get(&kept, selectKey, r.id); err != nil {
		return "", err
	}
	if kept.Fingerprint != r.fingerprint {
		return "", ErrKeyReused
	}
	return kept.Result, nil
}

// sweep forgets expired keys. One key in 256 does it for the others, so that
// they cost nothing of their own and never outnumber those of a few days.
func (r *Request) sweep(tx backends.Tx) error {
	if !strings.HasPrefix(r.id, "00") {
		return nil
	}
	_, err := tx.Exec(deleteExpired, tx.Now().Add(-time.Hour).UnixMicro()) // late, for instances whose clocks differ
	return err
}

var (
	idempotencyTable = &backends.Table{
		Name: "idempotency_keys",
		Columns: []backends.Column{
			backends.T("id"), backends.T("fingerprint"), backends.T("result"), backends.I("created_at"), backends.I("expires_at"),
		},
	}

	takeKey = backends.Write(idempotencyTable, `INSERT INTO idempotency_keys (storefront_id, id, fingerprint, result, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (storefront_id, id) DO UPDATE SET fingerprint = excluded.fingerprint, result = excluded.result,
		created_at = excluded.created_at, expires_at = excluded.expires_at WHERE idempotency_keys.expires_at <= excluded.created_at RETURNING created_at`)
	selectKey     = backends.Read(`SELECT fingerprint, result FROM idempotency_keys WHERE storefront_id = $1 AND id = $2`)
	deleteExpired = backends.Write(idempotencyTable, `DELETE FROM idempotency_keys WHERE storefront_id = $1 AND id IN
		(SELECT id FROM idempotency_keys WHERE storefront_id = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT 1000)`)
)

package auth

import (
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/database"
)

func countTokens(tx control.Tx) (n int64, err error) {
	err = tx.Get(&n, `SELECT count(*) FROM admin_tokens`)
	return n, err
}

func insertAdmin(tx control.Tx, a *admin) error {
	a.Cred = 1
	_, err := tx.Exec(`INSERT INTO admins (id, email, email_key, password_hash, must_change, role, cred, storefront_id, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $9, $8, $8)`, a.ID, a.Email, a.EmailKey, a.PasswordHash, database.Truth(a.MustChange), a.Role, a.Cred, tx.Now(), a.Storefront)
	if errors.Is(err, control.ErrUnique) {
		return ErrAdminTaken.Because(err)
	}
	return err
}

// storefrontID finds a storefront by id or slug; backends.ErrNoStorefront when there is none.
func storefrontID(tx control.Tx, ref string) (id string, err error) {
	err = tx.Get(&id, `SELECT id FROM storefronts WHERE id = $1 OR slug = $1`, ref)
	if errors.Is(err, sql.ErrNoRows) {
		err = backends.ErrNoStorefront
	}
	return id, err
}

const adminColumns = `a.id, a.email, a.email_key, a.password_hash, a.must_change, a.role, a.cred, a.storefront_id`

// adminByID, adminByKey, lockAdmin, adminOfToken and firstPlatformAdmin find an admin; nil
// when there is none.
func adminByID(tx control.Tx, id string) (*admin, error) {
	return found(func(a *admin) error { return tx.Get(a, `SELECT `+adminColumns+` FROM admins a WHERE a.id = $1`, id) })
}

func adminByKey(tx control.Tx, key string) (*admin, error) {
	return found(func(a *admin) error {
		return tx.Get(a, `SELECT `+adminColumns+` FROM admins a WHERE a.email_key = $1`, key)
	})
}

func lockAdmin(tx control.Tx, key string) (*admin, error) {
	return found(func(a *admin) error {
		return tx.GetLocked(a, `SELECT `+adminColumns+` FROM admins a WHERE a.email_key = $1`, key)
	})
}

func adminOfToken(tx control.Tx, digest []byte) (*admin, error) {
	return found(func(a *admin) error {
		return tx.Get(a, `SELECT `+adminColumns+` FROM admin_tokens t JOIN admins a ON a.id = t.admin_id
			WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)`, digest, tx.Now())
	})
}

func firstPlatformAdmin(tx control.Tx) (*admin, error) {
	return found(func(a *admin) error {
		return tx.Get(a, `SELECT `+adminColumns+` FROM admins a WHERE a.role = $1 ORDER BY a.id LIMIT 1`, PlatformAdmin)
	})
}

func found(get func(*admin) error) (*admin, error) {
	var a admin
	err := get(&a)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &a, err
}

// savePassword makes tokens from before void.
func savePassword(tx control.Tx, id, hash string, mustChange bool) error {
	_, err := tx.Exec(`UPDATE admins SET password_hash = $2, must_change = $3, cred = cred + 1, updated_at = $4 WHERE id = $1`,
		id, hash, database.Truth(mustChange), tx.Now())
	return err
}

func insertToken(tx control.Tx, id, admin string, digest []byte, label string) error {
	_, err := tx.Exec(`INSERT INTO admin_tokens (id, admin_id, token_hash, label, created_at) VALUES ($1, $2, $3, $4, $5)`,
		id, admin, digest, label, tx.Now())
	return err
}

// revokeTokens makes the tokens void that an admin has in files.
func revokeTokens(tx control.Tx, admin string) (revoked int64, err error) {
	return tx.Exec(`UPDATE admin_tokens SET revoked_at = $2 WHERE admin_id = $1 AND revoked_at IS NULL`, admin, tx.Now())
}

func insertRecord(tx control.Tx, r Record) error {
	_, err := tx.Exec(`INSERT INTO admin_audit (id, actor, action, subject, details, outcome, ip, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.ID, r.Actor, r.Action, r.Subject, r.Details, r.Outcome, r.Address, tx.Now())
	return err
}

func finishRecord(tx control.Tx, id, outcome string) error {
	_, err := tx.Exec(`UPDATE admin_audit SET outcome = $2 WHERE id = $1`, id, outcome)
	return err
}

func listRecords(tx control.Tx, before string, limit int64) (out []Record, err error) {
	const columns = `SELECT r.id, r.actor, r.action, r.subject, r.details, r.outcome, r.ip, r.at, a.email
		FROM admin_audit r LEFT JOIN admins a ON a.id = r.actor`
	if before == "" {
		err = tx.Select(&out, columns+` ORDER BY r.id DESC LIMIT $1`, limit)
	} else {
		err = tx.Select(&out, columns+` WHERE r.id < $1 ORDER BY r.id DESC LIMIT $2`, before, limit)
	}
	return out, err
}

package auth

import (
	"database/sql"
	"errors"

	"smartseller/platform/control"
)

func countAdmins(tx control.Tx) (n int64, err error) {
	err = tx.Get(&n, `SELECT count(*) FROM admins`)
	return n, err
}

func insertAdmin(tx control.Tx, id, email, passwordHash string) error {
	_, err := tx.Exec(`INSERT INTO admins (id, email, email_key, password_hash, must_change, role, created_at, updated_at)
		VALUES ($1, $2, $2, $3, 1, 'platform-admin', $4, $4)`, id, email, passwordHash, tx.Now())
	return err
}

func insertToken(tx control.Tx, id, admin string, digest []byte, label string) error {
	_, err := tx.Exec(`INSERT INTO admin_tokens (id, admin_id, token_hash, label, created_at) VALUES ($1, $2, $3, $4, $5)`,
		id, admin, digest, label, tx.Now())
	return err
}

// adminOfToken finds whose live token this is; "" when it is nobody's.
func adminOfToken(tx control.Tx, digest []byte) (admin string, err error) {
	err = tx.Get(&admin, `SELECT admin_id FROM admin_tokens
		WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, digest, tx.Now())
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return admin, err
}

package storefronts

import (
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/platform/control"
)

const storefrontColumns = `s.id, s.slug, s.name, s.currency, s.time_zone, s.status, s.created_at, p.backend, p.epoch, p.made_at_epoch
	FROM storefronts s JOIN placements p ON p.storefront_id = s.id`

func insertStorefront(tx control.Tx, s Storefront) error {
	_, err := tx.Exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, '{}', $7, $7, 1)`,
		string(s.ID), s.Slug, s.Name, s.Currency, s.TimeZone, s.Status, tx.Now())
	if errors.Is(err, control.ErrUnique) {
		return ErrSlugTaken.Because(err)
	}
	return err
}

// findStorefront looks a storefront up by id or slug.
func findStorefront(tx control.Tx, ref string) (s Storefront, err error) {
	err = tx.Get(&s, `SELECT `+storefrontColumns+` WHERE s.id = $1 OR s.slug = $1`, ref)
	if errors.Is(err, sql.ErrNoRows) {
		err = backends.ErrNoStorefront
	}
	return s, err
}

func listStorefronts(tx control.Tx, after string, limit int64) (out []Storefront, err error) {
	err = tx.Select(&out, `SELECT `+storefrontColumns+` WHERE s.slug > $1 ORDER BY s.slug LIMIT $2`, after, limit)
	return out, err
}

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

func insertFounding(tx control.Tx, s Storefront) error {
	_, err := tx.Exec(`INSERT INTO foundings (storefront_id, slug, backend, begun_at, given_up) VALUES ($1, $2, $3, $4, 0)`,
		string(s.ID), s.Slug, s.Backend, tx.Now())
	return err
}

func foundingsOf(tx control.Tx, slug string) (out []founding, err error) {
	err = tx.Select(&out, `SELECT storefront_id, backend FROM foundings WHERE slug = $1 ORDER BY begun_at`, slug)
	return out, err
}

// foundingsBefore lists those that were begun until a time, or given up.
func foundingsBefore(tx control.Tx, at int64) (out []founding, err error) {
	err = tx.Select(&out, `SELECT storefront_id, backend FROM foundings WHERE begun_at <= $1 OR given_up = 1 ORDER BY begun_at`, at)
	return out, err
}

// stopFounding keeps a storefront from beginning; rows is 0 when it has.
func stopFounding(tx control.Tx, id backends.StorefrontID) (rows int64, err error) {
	return tx.Exec(`UPDATE foundings SET given_up = 1 WHERE storefront_id = $1`, string(id))
}

// endFounding forgets one that was or was not given up; rows is 0 when there is none.
func endFounding(tx control.Tx, id backends.StorefrontID, givenUp bool) (rows int64, err error) {
	was := int64(0)
	if givenUp {
		was = 1
	}
	return tx.Exec(`DELETE FROM foundings WHERE storefront_id = $1 AND given_up = $2`, string(id), was)
}

package migration

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/pgserver/pgtest"
)

// TestNewestMove of a storefront is the open one, else the one that began last by the control
// database's clock, whatever the clocks of instances made of their ids.
func TestNewestMove(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(t *testing.T) *control.DB{
		"sqlite": func(t *testing.T) *control.DB { return controltest.Open(t) },
		"postgres": func(t *testing.T) *control.DB {
			db, err := control.Open(context.Background(), pgtest.Database(t))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			return db
		},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			newestMove(t, open(t))
		})
	}
}

func newestMove(t *testing.T, db *control.DB) {
	ctx := context.Background()
	s := &Service{db: db}
	type began struct {
		id string
		at int64
	}
	for n, c := range []struct {
		ended []began
		open  *began
		want  string
	}{
		{ended: []began{{"c", 1}, {"a", 3}, {"b", 2}}, want: "a"},
		{ended: []began{{"b", 7}, {"a", 7}}, want: "b"},
		{ended: []began{{"c", 5}}, open: &began{"a", 4}, want: "a"},
		{open: &began{"a", 1}, want: "a"},
		{},
	} {
		storefront, slug := backends.StorefrontID(fmt.Sprintf("id-%d", n)), fmt.Sprintf("slug-%d", n)
		name := func(id string) string { return fmt.Sprintf("%d-%s", n, id) }
		record := func(tx control.Tx, b began, ended any) {
			require.NoError(t, insertMove(tx, &Move{ID: name(b.id), Storefront: storefront, Phase: Planned}))
			_, err := tx.Exec(`UPDATE moves SET created_at = $2, ended_at = $3 WHERE id = $1`, name(b.id), b.at, ended)
			require.NoError(t, err)
		}
		require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			for _, b := range c.ended {
				record(tx, b, b.at)
			}
			if c.open != nil {
				record(tx, *c.open, nil)
			}
			_, err := tx.Exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version)
				VALUES ($1, $2, '', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`, string(storefront), slug)
			return err
		}))
		for _, ref := range []string{string(storefront), slug} {
			m, err := s.Newest(ctx, ref)
			if c.want == "" {
				require.ErrorIs(t, err, ErrNoMove)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, name(c.want), m.ID, "%+v", c)
		}
	}
	_, err := s.Newest(ctx, "nobody")
	require.ErrorIs(t, err, ErrNoMove)
}

package storetest

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// strangerKeys bounds how many rows of a table a stranger tries to reach.
const strangerKeys = 20

// findsNothing repeats, as another storefront, every operation on the rows that a
// case has left behind: it finds none of them and changes none.
func findsNothing(t *testing.T, stranger backends.Store, h *home) {
	t.Helper()
	for _, victim := range h.opened {
		before := all(t, victim, h.catalog)
		for table, rows := range before {
			for _, row := range rows[:min(len(rows), strangerKeys)] {
				reachesFor(t, stranger, table, row.Key())
			}
		}
		require.Equal(t, before, all(t, victim, h.catalog))
	}
	for table, rows := range all(t, stranger, h.catalog) {
		require.Empty(t, rows, table.Name)
	}
}

func all(t *testing.T, s backends.Store, catalog *backends.Catalog) map[*backends.Table][]backends.Row {
	t.Helper()
	rows := map[*backends.Table][]backends.Row{}
	for _, table := range catalog.Moving() {
		rows[table] = scan(t, s, table)
	}
	return rows
}

// byID are the suite's statements that take a row's id and, some, a number.
var byID = map[string][]*backends.Statement{
	counters.Name:    {getCounter, lockCounter, bumpCounter, setCounter, casCounter, dropCounter},
	tokens.Name:      {getToken},
	idempotency.Name: {getResult},
}

func reachesFor(t *testing.T, stranger backends.Store, table *backends.Table, id string) {
	t.Helper()
	update(t, stranger, func(tx backends.Tx) error {
		for _, st := range byID[table.Name] {
			args := []any{id}
			if st == setCounter || st == casCounter {
				args = append(args, 0)
			}
			if st.Kind == backends.WriteStatement && !st.Returning {
				n, err := tx.Exec(st, args...)
				require.NoError(t, err)
				require.Zero(t, n, st.Site)
				continue
			}
			var row anyRow
			require.ErrorIs(t, tx.Get(&row, st, args...), sql.ErrNoRows, st.Site)
		}
		return nil
	})
	require.NoError(t, stranger.Read(context.Background(), func(r backends.Reader) error {
		rows, err := r.Rows([]backends.Key{{Table: table.Name, ID: id}})
		require.Empty(t, rows)
		return err
	}))
	for _, st := range byID[table.Name] {
		if st.Kind == backends.ReadStatement {
			var row anyRow
			require.ErrorIs(t, stranger.Get(context.Background(), epoch, &row, st, id), sql.ErrNoRows, st.Site)
		}
	}
}

// anyRow takes the columns of every statement in byID.
type anyRow struct {
	Value   int64  `db:"value"`
	Result  string `db:"result"`
	Purpose string `db:"purpose"`
	Hash    []byte `db:"token_hash"`
	Expires int64  `db:"expires_at"`
	Used    *int64 `db:"used_at"`
}

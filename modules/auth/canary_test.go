package auth

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/modules/customers"
	"smartseller/platform/ids"
)

// copyUnderTest is a place that a mover fills.
type copyUnderTest struct {
	store backends.Store
	token backends.Token
}

func newCopy(t *testing.T, backend backends.Backend) *copyUnderTest {
	t.Helper()
	ctx := context.Background()
	p := backends.Place{Backend: backend.Name(), Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, backend.Create(ctx, p))
	s, err := backend.Open(ctx, p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := &copyUnderTest{store: s, token: backends.Token{Move: ids.New(), Gen: 1}}
	require.NoError(t, s.Install(ctx, c.token, 1))
	return c
}

// put writes rows; a row of nothing but its key is deleted.
func (c *copyUnderTest) put(t *testing.T, table string, rows ...backends.Row) {
	t.Helper()
	b := backends.Batch{Rows: map[backends.Key]backends.Row{}}
	for _, row := range rows {
		k := backends.Key{Table: table, ID: row.Key()}
		b.Keys = append(b.Keys, k)
		if len(row) > 1 {
			b.Rows[k] = row
		}
	}
	require.NoError(t, c.store.Apply(context.Background(), c.token, b))
}

func customerRow(t *testing.T, id, hash string) backends.Row {
	t.Helper()
	var row backends.Row
	for _, c := range customers.Tables()[0].Columns {
		switch {
		case c.Name == "id":
			row = append(row, id)
		case c.Name == "password_hash":
			row = append(row, hash)
		case c.Name == "status":
			row = append(row, "active")
		case c.Null:
			row = append(row, nil)
		case c.Type == backends.Integer:
			row = append(row, int64(1))
		default:
			row = append(row, id)
		}
	}
	return row
}

func with(row backends.Row, column string, value any) backends.Row {
	changed := slices.Clone(row)
	changed[sessionsTable.Column(column)] = value
	return changed
}

// TestCanaryFindsWhatWouldLogCustomersOut changes one thing at a time at the target.
func TestCanaryFindsWhatWouldLogCustomersOut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	catalog, err := backends.NewCatalog(append(Tables(), customers.Tables()...)...)
	require.NoError(t, err)
	backend, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()})
	require.NoError(t, err)
	hash, err := bcrypt.GenerateFromPassword([]byte("a password"), bcrypt.MinCost)
	require.NoError(t, err)
	source, target := newCopy(t, backend), newCopy(t, backend)
	ask := func() (found string, verdict error) {
		require.NoError(t, source.store.Read(ctx, func(s backends.Reader) error {
			return target.store.Read(ctx, func(r backends.Reader) error {
				found, verdict = Canary(ctx, s, r)
				return nil
			})
		}))
		return found, verdict
	}
	found, err := ask()
	require.NoError(t, err, "a storefront without customers")
	require.Equal(t, "0 sessions and the passwords of 0 customers work at the target", found)

	customer, idle, held := ids.New(), ids.New(), ids.New()
	session := backends.Row{
		held, customer, int64(3), []byte("a key of this session"), "pwd", "", "", int64(1), int64(1), int64(1), int64(2), int64(2), nil, nil,
	}
	for _, c := range []*copyUnderTest{source, target} {
		c.put(t, "customers", customerRow(t, customer, string(hash)), customerRow(t, idle, string(hash)))
		c.put(t, "sessions", session)
	}
	found, err = ask()
	require.NoError(t, err)
	require.Equal(t, "1 sessions and the passwords of 2 customers work at the target", found)

	for _, c := range []struct {
		name, table string
		row, whole  backends.Row
		says        string
	}{
		{"session missing", "sessions", backends.Row{held}, session, "logged out"},
		{"another key", "sessions", with(session, "hmac_key", []byte("another")), session, "not accepted"},
		{"another counter", "sessions", with(session, "counter", int64(2)), session, "not accepted"},
		{"revoked", "sessions", with(session, "revoked_at", int64(5)), session, "revoked"},
		{"customer missing", "customers", backends.Row{customer}, customerRow(t, customer, string(hash)), "one place alone"},
		{"another password", "customers", customerRow(t, customer, "$2a$10$other"), customerRow(t, customer, string(hash)), "another one"},
		{"another one of who has no session", "customers", customerRow(t, idle, "$2a$10$other"), customerRow(t, idle, string(hash)), "another one"},
		{"who has no session is missing", "customers", backends.Row{idle}, customerRow(t, idle, string(hash)), "one place alone"},
	} {
		target.put(t, c.table, c.row)
		_, err := ask()
		require.ErrorContains(t, err, c.says, c.name)
		target.put(t, c.table, c.whole)
		_, err = ask()
		require.NoError(t, err, c.name)
	}
}

// TestCanaryLooksAnywhere: of many sessions, those in the middle are met as well.
func TestCanaryLooksAnywhere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	catalog, err := backends.NewCatalog(append(Tables(), customers.Tables()...)...)
	require.NoError(t, err)
	backend, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()})
	require.NoError(t, err)
	place := newCopy(t, backend)
	const sessions, part = 300, 100
	rows := make([]backends.Row, sessions)
	for i := range rows {
		rows[i] = backends.Row{
			ids.Named(uint64(i)), ids.New(), int64(3), []byte("a key"), "pwd", "", "", int64(1), int64(1), int64(1), int64(2), int64(2), nil, nil,
		}
	}
	place.put(t, "sessions", rows...)
	met := map[int]bool{}
	require.NoError(t, place.store.Read(ctx, func(r backends.Reader) error {
		for range 5 { // of 40 points, none in a third: once in ten million
			seen, err := sample(r, sessionsTable)
			require.NoError(t, err)
			for i, row := range rows {
				if seen[row.Key()] != nil {
					met[i/part] = true
				}
			}
		}
		return nil
	}))
	require.Len(t, met, sessions/part)
}

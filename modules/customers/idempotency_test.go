package customers

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/tenanttest"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	expireKeys = backends.Write(idempotencyTable, `UPDATE idempotency_keys SET expires_at = $2 WHERE storefront_id = $1`)
	countKeys  = backends.Read(`SELECT count(*) FROM idempotency_keys WHERE storefront_id = $1`)
)

// everywhere runs a test on a store of each engine.
func everywhere(t *testing.T, test func(t *testing.T, store *tenanttest.Store)) {
	for name, open := range map[string]func(testing.TB, ...*backends.Table) *tenanttest.Store{
		"sqlite": tenanttest.SQLite, "postgres": tenanttest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, Tables()...))
		})
	}
}

func newKeys(t *testing.T) *crypto.Keyring {
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	return keys
}

func newRequest(t *testing.T, principal, operation, key string, input any) *Request {
	r, err := NewRequest(newKeys(t), principal, operation, key, input)
	require.NoError(t, err)
	return r
}

func TestOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, store *tenanttest.Store) {
		shop, other := store.Storefront(t), store.Storefront(t)
		writes := 0
		failure := errors.New("no")
		once := func(shop backends.StorefrontID, r *Request, id string, fails error) (made string, err error) {
			err = store.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error {
				made, err = Once(tx, r, id, func() error { writes++; return fails })
				return err
			})
			return made, err
		}
		ask := newRequest(t, "ada", "order", "k1", map[string]int{"n": 1})

		_, err := once(shop, ask, "a", failure)
		require.ErrorIs(t, err, failure)
		made, err := once(shop, ask, "b", nil)
		require.NoError(t, err)
		require.Equal(t, "b", made, "what failed may be sent again")
		made, err = once(shop, ask, "c", nil)
		require.NoError(t, err)
		require.Equal(t, "b", made)
		require.Equal(t, 2, writes, "the repeat wrote nothing")

		_, err = once(shop, newRequest(t, "ada", "order", "k1", map[string]int{"n": 2}), "d", nil)
		require.ErrorIs(t, err, ErrKeyReused)
		for name, r := range map[string]*Request{
			"another customer": newRequest(t, "eve", "order", "k1", map[string]int{"n": 1}), "another operation": newRequest(t, "ada", "address", "k1", map[string]int{"n": 1}),
			"another key": newRequest(t, "ada", "order", "k2", map[string]int{"n": 1}), "no key": newRequest(t, "ada", "order", "", 1),
		} {
			id := ids.New()
			made, err = once(shop, r, id, nil)
			require.NoError(t, err)
			require.Equal(t, id, made, name)
		}
		made, err = once(other, ask, "e", nil)
		require.NoError(t, err)
		require.Equal(t, "e", made, "another storefront")
	})
}

func TestOnceForgets(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, store *tenanttest.Store) {
		shop := store.Storefront(t)
		update := func(fn func(tx backends.Tx) error) {
			require.NoError(t, store.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error { return fn(tx) }))
		}
		once := func(r *Request, id string) (made string) {
			update(func(tx backends.Tx) (err error) {
				made, err = Once(tx, r, id, func() error { return nil })
				return err
			})
			return made
		}
		count := func() (n int64) {
			update(func(tx backends.Tx) error { return tx.Get(&n, countKeys) })
			return n
		}
		require.Equal(t, "a", once(&Request{id: "01", fingerprint: "x"}, "a"))
		require.Equal(t, "a", once(&Request{id: "02", fingerprint: "x"}, "a"))
		update(func(tx backends.Tx) error { _, err := tx.Exec(expireKeys, 1); return err })
		require.Equal(t, "b", once(&Request{id: "01", fingerprint: "y"}, "b"), "after a day a key may name another request")
		require.EqualValues(t, 2, count())
		once(&Request{id: "00", fingerprint: "x"}, "a")
		require.EqualValues(t, 2, count(), "the expired one is swept away, those that are alive stay")
		require.Equal(t, "b", once(&Request{id: "01", fingerprint: "y"}, "c"))
	})
}

// TestOnceSideBySide sends one request many times at once: one of them writes, and
// all get its answer.
func TestOnceSideBySide(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, store *tenanttest.Store) {
		shop := store.Storefront(t)
		service := NewService(store, newKeys(t))
		account := &Customer{ID: ids.New(), Email: "ada@example.com", EmailKey: "ada@example.com"}
		require.NoError(t, store.Update(context.Background(), shop, func(_ context.Context, tx backends.Tx) error { return Insert(tx, account) }))
		address := AddressFields{Line1: "1 Main St", City: "Berlin", Country: "DE"}
		made := make([]string, 8)
		var requests sync.WaitGroup
		for i := range made {
			requests.Go(func() {
				if a, err := service.AddAddress(context.Background(), shop, account.ID, "key", address); err == nil {
					made[i] = a.ID
				}
			})
		}
		requests.Wait()
		found, _, err := service.Addresses(context.Background(), shop, account.ID, "", 100)
		require.NoError(t, err)
		require.Len(t, found, 1)
		for _, id := range made {
			require.Equal(t, found[0].ID, id)
		}
	})
}

package auth

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/platform/cache"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
)

// signers keeps the storefronts' keys, which live in the control database: tokens
// outlive a move. Safe for concurrent use.
type signers struct {
	db    *control.DB
	keys  *crypto.Keyring
	known *cache.Cache[backends.StorefrontID, *signingKey]
}

// mostSigners are the keys that an instance remembers.
const mostSigners = 10_000

func newSigners(db *control.DB, keys *crypto.Keyring) *signers {
	return &signers{db: db, keys: keys, known: cache.New[backends.StorefrontID, *signingKey](mostSigners)}
}

// of finds or makes a storefront's key. The platform's own has platformKey for a storefront.
func (s *signers) of(ctx context.Context, storefront backends.StorefrontID) (*signingKey, error) {
	if key, ok := s.known.Get(storefront); ok {
		return key, nil
	}
	key, err := s.find(ctx, storefront)
	if err == nil && key == nil {
		// Two that made one each would not know each other's tokens.
		err = s.db.Alone(ctx, "signing key", func(ctx context.Context) error {
			key, err = s.find(ctx, storefront)
			if err == nil && key == nil {
				key, err = s.create(ctx, storefront)
			}
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	s.known.Put(storefront, key)
	return key, nil
}

// find reads a storefront's key; nil when it has none.
func (s *signers) find(ctx context.Context, storefront backends.StorefrontID) (key *signingKey, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		id, sealed, err := findSigningKey(tx, storefront)
		if err != nil || id == "" {
			return err
		}
		seed, err := s.keys.Open(sealed, keyAAD(storefront, id))
		if err == nil {
			key = &signingKey{id: id, private: ed25519.NewKeyFromSeed(seed)}
		}
		return err
	})
	return key, err
}

func (s *signers) create(ctx context.Context, storefront backends.StorefrontID) (*signingKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	key := &signingKey{id: ids.New(), private: private}
	return key, s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		return insertSigningKey(tx, storefront, key.id, public, s.keys.Seal(private.Seed(), keyAAD(storefront, key.id)))
	})
}

func keyAAD(storefront backends.StorefrontID, id string) []byte {
	return []byte("signing key/" + string(storefront) + "/" + id)
}

// findSigningKey finds a storefront's current key; id "" when it has none.
func findSigningKey(tx control.Tx, storefront backends.StorefrontID) (id string, sealed []byte, err error) {
	var row struct {
		ID     string `db:"kid"`
		Sealed []byte `db:"sealed_private_key"`
	}
	err = tx.Get(&row, `SELECT kid, sealed_private_key FROM signing_keys WHERE storefront_id = $1 AND retired_at IS NULL
		ORDER BY created_at, kid LIMIT 1`, string(storefront))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return row.ID, row.Sealed, err
}

func insertSigningKey(tx control.Tx, storefront backends.StorefrontID, id string, public, sealed []byte) error {
	_, err := tx.Exec(`INSERT INTO signing_keys (storefront_id, kid, algorithm, public_key, sealed_private_key, created_at)
		VALUES ($1, $2, 'EdDSA', $3, $4, $5)`, string(storefront), id, public, sealed, tx.Now())
	return err
}

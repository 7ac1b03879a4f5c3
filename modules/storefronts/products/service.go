package products

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"smartseller/backends"
	"smartseller/platform/clock"
	"smartseller/platform/crypto"
	"smartseller/platform/page"
)

// Service shows a storefront's products to its visitors. Safe for concurrent use.
type Service struct {
	store   backends.TenantStore
	cursors *page.Cursors
}

// NewService makes the service; the keys seal the cursors of its lists.
func NewService(store backends.TenantStore, keys *crypto.Keyring) *Service {
	return &Service{store: store, cursors: page.NewCursors(keys, clock.System)}
}

// mostVariants end a page, wherever its limit is: they bound what it takes in
// memory. It is more than one product may have, so a page always gets on.
const mostVariants = 2 * MaxVariants

// List returns up to limit published products with their variants and without their
// descriptions, in the order of their handles, and the cursor of the next page; ""
// when there is none.
func (s *Service) List(ctx context.Context, storefront backends.StorefrontID, cursor string, limit int) (found []Product, next string, err error) {
	list, after := page.List{"products", string(storefront)}, ""
	if err := s.cursors.Open(list, cursor, &after); err != nil {
		return nil, "", err
	}
	more := false
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		if err := tx.Select(&found, selectPublished, after, limit+1); err != nil {
			return err
		}
		if more = len(found) > limit; more {
			found = found[:limit]
		}
		whole, err := addVariants(tx, found, mostVariants)
		if err == nil && whole < len(found) {
			found, more = found[:whole], true
		}
		return err
	})
	if err == nil && more {
		next, err = s.cursors.Seal(list, found[len(found)-1].Handle)
	}
	return found, next, err
}

// Find reads a published product with its variants; ErrNotFound when there is none.
func (s *Service) Find(ctx context.Context, storefront backends.StorefrontID, handle string) (p *Product, err error) {
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		found := make([]Product, 1)
		err := tx.Get(&found[0], selectByHandle, handle)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		p = &found[0]
		_, err = addVariants(tx, found, mostVariants)
		return err
	})
	return p, err
}

// addVariants reads the variants of products, which are in the order of their
// handles, in one round trip. When there are more than most, whole says how many products,
// from the first, have all of theirs.
func addVariants(tx backends.Tx, found []Product, most int) (whole int, err error) {
	of := make(backends.List, len(found))
	for i, p := range found {
		of[i] = p.ID
	}
	var variants []Variant
	if err := tx.Select(&variants, selectVariants, of, most+1); err != nil {
		return 0, err
	}
	rest := variants
	for i := range found {
		n := 0
		for n < len(rest) && rest[n].ProductID == found[i].ID {
			n++
		}
		if n == len(rest) && len(variants) > most { // the last one that was read may have more
			if i == 0 {
				return 0, fmt.Errorf("product %s has more than %d variants", found[0].Handle, most)
			}
			return i, nil
		}
		found[i].Variants, rest = rest[:n:n], rest[n:]
	}
	return len(found), nil
}

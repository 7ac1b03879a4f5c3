package products

import (
	"context"
	"database/sql"
	"errors"

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

// pageBytes end a page with the product that reaches them, wherever its limit is: that
// bounds what it takes in memory. A variant counts as 500 bytes, and an import lets it have
// 8 KiB at most; a product is 8 MiB at most.
const pageBytes = 4 << 20

// listed is a product on a page, and how many there were for it.
type listed struct {
	Product
	There int `db:"there"`
}

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
		var page []listed
		if err := tx.Select(&page, selectPublished, after, limit+1, pageBytes); err != nil {
			return err
		}
		found = make([]Product, min(len(page), limit))
		for n := range found {
			found[n] = page[n].Product
		}
		more = len(page) > 0 && page[0].There > len(found)
		return addVariants(tx, found)
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
		return addVariants(tx, found)
	})
	return p, err
}

// addVariants reads the variants of products, which are in the order of their
// handles, in one round trip.
func addVariants(tx backends.Tx, found []Product) error {
	of := make(backends.List, len(found))
	for i, p := range found {
		of[i] = p.ID
	}
	var rest []Variant
	if err := tx.Select(&rest, selectVariants, of); err != nil {
		return err
	}
	for i := range found {
		n := 0
		for n < len(rest) && rest[n].ProductID == found[i].ID {
			n++
		}
		found[i].Variants, rest = rest[:n:n], rest[n:]
	}
	return nil
}

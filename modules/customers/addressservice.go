package customers

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// Addresses returns up to limit of a customer's addresses, oldest first, and the
// cursor of the next page; "" when there is none. ErrCursor for a cursor of
// another list.
func (s *Service) Addresses(ctx context.Context, storefront backends.StorefrontID, customer, cursor string, limit int) (page []Address, next string, err error) {
	after, err := s.openCursor(storefront, customer, cursor)
	if err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		return tx.Select(&page, selectAddresses, customer, after, limit+1)
	})
	if err == nil && len(page) > limit {
		page = page[:limit]
		next = s.sealCursor(storefront, customer, page[limit-1].ID)
	}
	return page, next, err
}

// A cursor is sealed to its list: nobody can make one or use another customer's.
func cursorOf(storefront backends.StorefrontID, customer string) []byte {
	return []byte("cursor/addresses/" + string(storefront) + "/" + customer)
}

func (s *Service) sealCursor(storefront backends.StorefrontID, customer, id string) string {
	return base64.RawURLEncoding.EncodeToString(s.keys.Seal([]byte(id), cursorOf(storefront, customer)))
}

func (s *Service) openCursor(storefront backends.StorefrontID, customer, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", ErrCursor.Because(err)
	}
	id, err := s.keys.Open(sealed, cursorOf(storefront, customer))
	if err != nil {
		return "", ErrCursor.Because(err)
	}
	return string(id), nil
}

// Address reads one; ErrNoAddress also for another customer's.
func (s *Service) Address(ctx context.Context, storefront backends.StorefrontID, customer, id string) (a *Address, err error) {
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		a, err = findAddress(tx, customer, id)
		return err
	})
	return a, err
}

// AddAddress keeps a new address; the first one becomes the default.
// ErrTooManyAddresses at the limit, which holds for requests side by side too.
func (s *Service) AddAddress(ctx context.Context, storefront backends.StorefrontID, customer string, f AddressFields) (a *Address, err error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	id := ids.New()
	err = s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		if err := holdCustomer(tx, customer); err != nil {
			return err
		}
		var n int64
		if err := tx.Get(&n, countAddresses, customer); err != nil {
			return err
		}
		if n >= MaxAddresses {
			return ErrTooManyAddresses
		}
		if _, err := tx.Exec(insertAddress, id, customer, f.FirstName, f.LastName, f.Company, f.Line1, f.Line2, f.City, f.Province, f.PostalCode,
			f.Country, f.Phone, n == 0, tx.Now().UnixMicro()); err != nil {
			return err
		}
		a, err = findAddress(tx, customer, id)
		return err
	})
	return a, err
}

// SetAddress replaces the address of the version that was read; ErrStale when it
// has changed since.
func (s *Service) SetAddress(ctx context.Context, storefront backends.StorefrontID, customer, id string, version int64, f AddressFields) (a *Address, err error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		n, err := tx.Exec(updateAddress, customer, id, f.FirstName, f.LastName, f.Company, f.Line1, f.Line2, f.City, f.Province, f.PostalCode,
			f.Country, f.Phone, tx.Now().UnixMicro(), version)
		if err != nil {
			return err
		}
		if a, err = findAddress(tx, customer, id); err == nil && n == 0 {
			return ErrStale
		}
		return err
	})
	return a, err
}

// DeleteAddress forgets an address. When it was the default, the newest one that
// is left becomes it.
func (s *Service) DeleteAddress(ctx context.Context, storefront backends.StorefrontID, customer, id string) error {
	return s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		if err := holdCustomer(tx, customer); err != nil {
			return err
		}
		var wasDefault bool
		err := tx.Get(&wasDefault, deleteAddress, customer, id)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoAddress
		}
		if err == nil && wasDefault {
			_, err = tx.Exec(promoteNewest, customer, tx.Now().UnixMicro())
		}
		return err
	})
}

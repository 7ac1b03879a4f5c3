package customers

import (
	"context"
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/platform/ids"
	"smartseller/platform/page"
)

// Addresses returns up to limit of a customer's addresses, oldest first, and the
// cursor of the next page; "" when there is none. page.ErrCursor for a cursor of
// another list.
func (s *Service) Addresses(ctx context.Context, storefront backends.StorefrontID, customer, cursor string, limit int) (found []Address, next string, err error) {
	list, after := page.List{"addresses", string(storefront), customer}, ""
	if err := s.cursors.Open(list, cursor, &after); err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		return tx.Select(&found, selectAddresses, customer, after, limit+1)
	})
	if err == nil && len(found) > limit {
		found = found[:limit]
		next, err = s.cursors.Seal(list, found[limit-1].ID)
	}
	return found, next, err
}

// Address reads one; ErrNoAddress also for another customer's.
func (s *Service) Address(ctx context.Context, storefront backends.StorefrontID, customer, id string) (*Address, error) {
	var a Address
	return orNoAddress(&a, s.store.Get(ctx, storefront, &a, selectAddress, customer, id))
}

// AddAddress keeps a new address; the first one becomes the default. With a key, a
// request that comes again answers with the address that it made: ErrKeyReused when
// it asks for another one, ErrMadeGone when that was deleted. ErrTooManyAddresses at
// the limit, which holds for requests side by side too.
func (s *Service) AddAddress(ctx context.Context, storefront backends.StorefrontID, customer, key string, f AddressFields) (a *Address, err error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	request, err := NewRequest(s.keys, customer, "add-address", key, f)
	if err != nil {
		return nil, err
	}
	id := ids.New()
	err = s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		made, err := Once(tx, request, id, func() error { return addAddress(tx, customer, id, f) })
		if err != nil {
			return err
		}
		a, err = findAddress(tx, customer, made)
		if errors.Is(err, ErrNoAddress) {
			return ErrMadeGone
		}
		return err
	})
	return a, err
}

func addAddress(tx backends.Tx, customer, id string, f AddressFields) error {
	if _, err := Hold(tx, customer); err != nil { // changes of the set of addresses queue for it
		return err
	}
	var n int64
	if err := tx.Get(&n, countAddresses, customer); err != nil {
		return err
	}
	if n >= MaxAddresses {
		return ErrTooManyAddresses
	}
	_, err := tx.Exec(insertAddress, id, customer, f.FirstName, f.LastName, f.Company, f.Line1, f.Line2, f.City, f.Province, f.PostalCode,
		f.Country, f.Phone, n == 0, tx.Now().UnixMicro())
	return err
}

// SetAddress replaces the address of the version that was read. When it has changed
// since: ErrStale, and the address as it is now.
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

// SetDefaultAddress makes an address the default instead of the one that was.
func (s *Service) SetDefaultAddress(ctx context.Context, storefront backends.StorefrontID, customer, id string) error {
	return s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		if _, err := Hold(tx, customer); err != nil { // changes of the set of addresses queue for it
			return err
		}
		a, err := findAddress(tx, customer, id)
		if err != nil || a.Default {
			return err
		}
		now := tx.Now().UnixMicro()
		if _, err := tx.Exec(demoteDefault, customer, now); err != nil { // first: never two of them
			return err
		}
		_, err = tx.Exec(promote, customer, id, now)
		return err
	})
}

// DeleteAddress forgets an address. When it was the default, the newest one that
// is left becomes it.
func (s *Service) DeleteAddress(ctx context.Context, storefront backends.StorefrontID, customer, id string) error {
	return s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		if _, err := Hold(tx, customer); err != nil { // changes of the set of addresses queue for it
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

package auth

import (
	"context"
	"errors"

	"smartseller/backends"
)

// What a logout ends: the session at hand, which is also meant where nothing is said,
// the customer's others, or all of them.
const (
	logoutOthers = "others"
	logoutGlobal = "global"
)

// Parting is what a customer leaves by: an access token, also an expired one, or a
// refresh token names the session.
type Parting struct{ Access, Refresh, Scope string }

// Logout ends the session that the tokens name, or those of its customer that the scope
// says. Repeating it is no error, and a session that has ended ends no others.
func (s *Sessions) Logout(ctx context.Context, slug string, by Parting, from Client) error {
	shop, err := s.storefront(ctx, slug)
	if err != nil {
		return err
	}
	key, err := s.signers.of(ctx, shop)
	if err != nil {
		return err
	}
	id := ""
	if c, err := key.verify(shop, by.Access, true); err == nil {
		id = c.Session
	}
	r, err := parseRefresh(by.Refresh)
	byRefresh := id == "" && err == nil && r.storefront == shop
	if byRefresh {
		id = r.session
	}
	if id == "" {
		return ErrInvalidToken
	}
	return s.store.Update(ctx, shop, func(_ context.Context, tx backends.Tx) error {
		held, err := lockSession(tx, id)
		if err != nil {
			return err
		}
		if held == nil || byRefresh && !r.signedBy(held.Key) {
			return ErrInvalidToken
		}
		if held.RevokedAt != nil {
			return nil
		}
		return errors.Join(endSessions(tx, held, by.Scope), s.audit(tx, held.Customer, "logout", from))
	})
}

func endSessions(tx backends.Tx, held *session, scope string) error {
	if scope == logoutOthers || scope == logoutGlobal {
		if err := revokeOthers(tx, held, "logout"); err != nil {
			return err
		}
	}
	if scope == logoutOthers {
		return nil
	}
	return revokeSession(tx, held.ID, "logout")
}

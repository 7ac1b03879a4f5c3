package auth

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/modules/customers"
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

// leaver is what the tokens of a Parting say.
type leaver struct {
	session string
	named   bool     // by an access token
	fresh   bool     // which has not expired
	cred    int64    // and is of this credential version
	refresh *refresh // of the same session; nil: none
}

// Logout ends the session that the tokens name, or those of its customer that the scope
// says. Repeating it is no error. What is too old to get in by, or of a session that ended
// otherwise, ends the session that it names, and no others: ErrInvalidToken.
func (s *Sessions) Logout(ctx context.Context, slug string, by Parting, from Client) error {
	shop, err := s.storefront(ctx, slug)
	if err != nil {
		return err
	}
	key, err := s.signers.of(ctx, shop)
	if err != nil {
		return err
	}
	who := leaving(key, shop, by)
	if err := s.genuine(ctx, shop, who); err != nil {
		return err
	}
	end := who.end
	if by.Scope == logoutOthers || by.Scope == logoutGlobal {
		end = who.endOthers
	}
	return s.store.Update(ctx, shop, func(_ context.Context, tx backends.Tx) error {
		held, err := end(tx, by.Scope)
		if err != nil || held == nil {
			return err
		}
		return s.audit(tx, held.Customer, "logout", from)
	})
}

// genuine refuses made-up tokens before anything is locked: they must keep nobody from
// writing.
func (s *Sessions) genuine(ctx context.Context, shop backends.StorefrontID, who leaver) error {
	if who.named {
		return nil
	}
	if who.refresh == nil {
		return ErrInvalidToken
	}
	return s.gaveOut(ctx, shop, who.refresh)
}

func leaving(key *signingKey, shop backends.StorefrontID, by Parting) (who leaver) {
	if c, err := key.verify(shop, by.Access, true); err == nil {
		_, expired := key.verify(shop, by.Access, false)
		who = leaver{session: c.Session, named: true, fresh: expired == nil, cred: c.Cred}
	}
	if r, err := parseRefresh(by.Refresh); err == nil && r.storefront == shop && (!who.named || r.session == who.session) {
		who.session, who.refresh = r.session, &r
	}
	return who
}

// end ends the leaver's session and returns it; nil: it had ended.
func (who leaver) end(tx backends.Tx, _ string) (*session, error) {
	held, err := who.lock(tx)
	if err != nil || held.RevokedAt != nil {
		return nil, err
	}
	return held, revokeSession(tx, held.ID, byLogout)
}

// endOthers ends the customer's other sessions and, of the global scope, the leaver's own
// and every access token. Those of one customer queue for the customer's row, since each
// ends the sessions that others hold.
func (who leaver) endOthers(tx backends.Tx, scope string) (*session, error) {
	named, err := findSession(tx, who.session)
	if err != nil || named == nil {
		return nil, errors.Join(err, ErrInvalidToken)
	}
	owner, err := customers.Hold(tx, named.Customer)
	if err != nil {
		return nil, err
	}
	held, err := who.lock(tx)
	if err != nil {
		return nil, err
	}
	if held.Why != nil && *held.Why == byGlobalLogout { // there is nothing left to end
		return nil, nil
	}
	if !who.mayEnter(held, owner, tx.Now()) {
		return nil, ErrInvalidToken
	}
	if scope == logoutOthers {
		return held, revokeOthers(tx, held, byLogout)
	}
	return held, errors.Join(revokeOthers(tx, held, byGlobalLogout), revokeSession(tx, held.ID, byGlobalLogout), customers.RaiseCred(tx, owner.ID))
}

// lock finds the session: ErrInvalidToken where there is none, or the tokens do not name it.
func (who leaver) lock(tx backends.Tx) (*session, error) {
	held, err := lockSession(tx, who.session)
	if err == nil && (held == nil || !who.named && !who.refreshes(held)) {
		err = ErrInvalidToken
	}
	return held, err
}

func (who leaver) refreshes(held *session) bool {
	return who.refresh != nil && who.refresh.signedBy(held.Key)
}

// mayEnter says that one of the tokens is as good as at any other request.
func (who leaver) mayEnter(held *session, owner *customers.Customer, now time.Time) bool {
	enters := who.fresh && who.cred == owner.Cred || who.refreshes(held) && who.refresh.counter >= held.Counter-1
	return enters && held.alive(now) && owner.Active()
}

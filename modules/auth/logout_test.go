package auth

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"smartseller/backends"
)

func TestLogout(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	ctx := context.Background()
	g := d.register("ada@example.com")
	long := d.expired(g)
	require.ErrorIs(t, d.in("toys", long), ErrInvalidToken)
	for range 2 { // repeating it is no error
		require.NoError(t, d.Logout(ctx, "toys", Parting{Access: long}, Client{}), "an expired token still says whose session it was")
	}
	require.ErrorIs(t, d.in("toys", g.Access), ErrInvalidToken)
	_, err := d.refresh(g.Refresh)
	require.ErrorIs(t, err, ErrInvalidToken)

	again, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
	require.NoError(t, err)
	require.ErrorIs(t, d.Logout(ctx, "other", Parting{Access: again.Access, Refresh: again.Refresh}, Client{}), ErrInvalidToken)
	require.NoError(t, d.in("toys", again.Access))
	require.NoError(t, d.Logout(ctx, "toys", Parting{Access: "garbage", Refresh: again.Refresh}, Client{}))
	require.ErrorIs(t, d.in("toys", again.Access), ErrInvalidToken)
}

// TestLogoutScopes: who is in after a logout here, by each scope.
func TestLogoutScopes(t *testing.T) {
	t.Parallel()
	for scope, in := range map[string][2]bool{"": {false, true}, "local": {false, true}, "others": {true, false}, "global": {false, false}} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			d := newDoorway(t)
			ctx := context.Background()
			stranger := d.register("bob@example.com")
			here := d.register("ada@example.com")
			there, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
			require.NoError(t, err)
			require.NoError(t, d.Logout(ctx, "toys", Parting{Access: here.Access, Scope: scope}, Client{}))
			for i, token := range []string{here.Access, there.Access} {
				require.Equal(t, in[i], d.in("toys", token) == nil, i)
			}
			require.NoError(t, d.in("toys", stranger.Access))
			again, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
			require.NoError(t, err)
			require.NoError(t, d.in("toys", again.Access))
			if in[1] { // a session that has ended ends no others, and is told so
				require.ErrorIs(t, d.Logout(ctx, "toys", Parting{Access: here.Access, Scope: "global"}, Client{}), ErrInvalidToken)
				require.NoError(t, d.in("toys", there.Access))
			}
			if scope != logoutOthers {
				require.NoError(t, d.Logout(ctx, "toys", Parting{Access: here.Access, Scope: scope}, Client{}), "as was said before")
			}
		})
	}
}

// TestOldTokensEndNoOthers: what does not let in any more, an access or a refresh token or
// the session itself, ends at most the session that it names.
func TestOldTokensEndNoOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, old := range map[string]func(d *doorway, here *Granted) Parting{
		"access token": func(d *doorway, here *Granted) Parting { return Parting{Access: d.expired(here)} },
		"session": func(d *doorway, here *Granted) Parting {
			d.change(idleUntil, 1)
			return Parting{Access: here.Access, Refresh: here.Refresh}
		},
		"credential version": func(d *doorway, here *Granted) Parting {
			d.change(raiseCred)
			return Parting{Access: here.Access}
		},
		"refresh token": func(d *doorway, here *Granted) Parting {
			for token := here.Refresh; ; {
				next, err := d.refresh(token)
				require.NoError(d.t, err)
				if token != here.Refresh {
					return Parting{Refresh: here.Refresh}
				}
				token = next.Refresh
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, scope := range []string{logoutOthers, logoutGlobal} {
				d := newDoorway(t)
				here := d.register("ada@example.com")
				by := old(d, here)
				there, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
				require.NoError(t, err)
				by.Scope = scope
				require.ErrorIs(t, d.Logout(ctx, "toys", by, Client{}), ErrInvalidToken)
				require.NoError(t, d.in("toys", there.Access))
				by.Scope = ""
				require.NoError(t, d.Logout(ctx, "toys", by, Client{}))
				require.NoError(t, d.in("toys", there.Access))
			}
		})
	}
	t.Run("beside a good one", func(t *testing.T) {
		d := newDoorway(t)
		here := d.register("ada@example.com")
		there, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
		require.NoError(t, err)
		require.NoError(t, d.Logout(ctx, "toys", Parting{Access: d.expired(here), Refresh: here.Refresh, Scope: logoutGlobal}, Client{}))
		require.ErrorIs(t, d.in("toys", there.Access), ErrInvalidToken)
	})
}

// TestStolenSessionEndsNoOthers: whose session ended by a token that was used twice is told
// that a global logout ended nothing.
func TestStolenSessionEndsNoOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDoorway(t)
	here := d.register("ada@example.com")
	there, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
	require.NoError(t, err)
	next, err := d.refresh(here.Refresh)
	require.NoError(t, err)
	_, err = d.refresh(next.Refresh)
	require.NoError(t, err)
	_, err = d.refresh(here.Refresh)
	require.ErrorIs(t, err, ErrInvalidToken)
	require.ErrorIs(t, d.Logout(ctx, "toys", Parting{Access: here.Access, Scope: logoutGlobal}, Client{}), ErrInvalidToken)
	require.NoError(t, d.in("toys", there.Access))
	require.NoError(t, d.Logout(ctx, "toys", Parting{Access: here.Access}, Client{}))
}

// TestMadeUpTokensOnlyRead: they are refused while nobody may write.
func TestMadeUpTokensOnlyRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDoorway(t)
	here := d.register("ada@example.com")
	forged := flipped(t, here.Refresh)
	require.NoError(t, d.store.Update(ctx, d.toys, func(context.Context, backends.Tx) error {
		_, err := d.refresh(forged)
		require.ErrorIs(t, err, ErrInvalidToken)
		for _, by := range []Parting{{Refresh: forged}, {Refresh: forged, Scope: logoutGlobal}, {Access: "x"}} {
			require.ErrorIs(t, d.Logout(ctx, "toys", by, Client{}), ErrInvalidToken)
		}
		return nil
	}))
	_, err := d.refresh(here.Refresh)
	require.NoError(t, err)
}

// flipped is a token whose tag is another one's.
func flipped(t *testing.T, token string) string {
	t.Helper()
	text, found := strings.CutPrefix(token, refreshPrefix)
	require.True(t, found)
	b, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	b[len(b)-1] ^= 1
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// TestGlobalLogoutsAtOnce: none waits for another one in a circle.
func TestGlobalLogoutsAtOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, globalLogoutsAtOnce)
}

func globalLogoutsAtOnce(t *testing.T, d *doorway) {
	ctx := context.Background()
	in := []*Granted{d.register("ada@example.com")}
	for range 7 {
		g, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
		require.NoError(t, err)
		in = append(in, g)
	}
	var group errgroup.Group
	for _, g := range in {
		group.Go(func() error { return d.Logout(ctx, "toys", Parting{Access: g.Access, Scope: logoutGlobal}, Client{}) })
	}
	require.NoError(t, group.Wait())
	for _, g := range in {
		require.ErrorIs(t, d.in("toys", g.Access), ErrInvalidToken)
	}
}

// TestLoginBesideAGlobalLogout: a session is either ended by it or as good as new, never
// one whose refresh token survives that everybody was logged out.
func TestLoginBesideAGlobalLogout(t *testing.T) {
	t.Parallel()
	everywhere(t, loginBesideAGlobalLogout)
}

func loginBesideAGlobalLogout(t *testing.T, d *doorway) {
	ctx := context.Background()
	d.register("ada@example.com")
	for range 20 {
		leaving, err := d.Login(ctx, "toys", "ada@example.com", correct, Client{})
		require.NoError(t, err)
		in := make([]*Granted, 4)
		var group errgroup.Group
		for n := range in {
			group.Go(func() (err error) {
				in[n], err = d.Login(ctx, "toys", "ada@example.com", correct, Client{})
				return err
			})
		}
		group.Go(func() error {
			return d.Logout(ctx, "toys", Parting{Access: leaving.Access, Scope: logoutGlobal}, Client{})
		})
		require.NoError(t, group.Wait())
		for _, g := range in {
			_, err := d.refresh(g.Refresh)
			require.Equal(t, d.in("toys", g.Access) == nil, err == nil, "access %v, refresh %v", d.in("toys", g.Access), err)
		}
	}
}

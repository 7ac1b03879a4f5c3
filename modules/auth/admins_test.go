package auth_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/auth"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/identity"
)

const (
	ada = "ada@example.com"
	own = "a long one of her own"
)

func newAdmins(t *testing.T, db *control.DB) *auth.Service {
	t.Helper()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	passwords, err := auth.NewCheapPasswords()
	require.NoError(t, err)
	return auth.NewService(db, keys, passwords)
}

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, fault.Of(err).Code, "%v", err)
}

func TestOneTimePasswordMustBeReplaced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	once, err := s.Create(ctx, "test", "Ada@Example.com", auth.PlatformAdmin)
	require.NoError(t, err)

	for _, c := range []struct {
		attempt auth.Attempt
		code    string
	}{
		{auth.Attempt{Email: ada, Password: once}, "password_change_required"},
		{auth.Attempt{Email: ada, Password: once, NewPassword: "short"}, "invalid_input"},
		{auth.Attempt{Email: ada, Password: once, NewPassword: once}, "invalid_input"},
		{auth.Attempt{Email: ada, Password: "a guess", NewPassword: own}, "invalid_credentials"},
		{auth.Attempt{Email: "nobody@example.com", Password: once, NewPassword: own}, "invalid_credentials"},
		{auth.Attempt{Email: "no address", Password: once}, "invalid_input"},
	} {
		_, err := s.Login(ctx, c.attempt)
		requireCode(t, c.code, err)
	}
	first, err := s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own})
	require.NoError(t, err)
	require.Equal(t, "Ada@Example.com", first.Email)
	in, err := s.Authenticate(ctx, first.Token, true)
	require.NoError(t, err)
	require.Equal(t, first.ID, identity.Admin(in))

	_, err = s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own + "!"})
	requireCode(t, "invalid_credentials", err)
	again, err := s.Login(ctx, auth.Attempt{Email: "ADA@example.com", Password: own})
	require.NoError(t, err)

	once, err = s.ResetPassword(ctx, "test", ada)
	require.NoError(t, err)
	for _, token := range []string{first.Token, again.Token, "", "garbage", "ssa_guess"} {
		_, err := s.Authenticate(ctx, token, false)
		require.ErrorIs(t, err, auth.ErrInvalidToken)
	}
	_, err = s.Login(ctx, auth.Attempt{Email: ada, Password: own})
	requireCode(t, "invalid_credentials", err)
	_, err = s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own + "!"})
	require.NoError(t, err)
}

// TestOneTimePasswordIsGoodOnce, also for those who use it at the same time.
func TestOneTimePasswordIsGoodOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	once, err := s.Create(ctx, "test", ada, auth.PlatformAdmin)
	require.NoError(t, err)
	var in atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own + string(rune('a'+i))})
			if err == nil {
				in.Add(1)
			} else if fault.Of(err).Code != "invalid_credentials" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, in.Load())
}

func TestGuessingAdminsSlowsDown(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	_, err := s.Create(ctx, "test", ada, auth.PlatformAdmin)
	require.NoError(t, err)
	for _, email := range []string{ada, "nobody@example.com"} {
		for range 6 {
			_, err := s.Login(ctx, auth.Attempt{Email: email, Password: "a guess"})
			requireCode(t, "invalid_credentials", err)
		}
		_, err := s.Login(ctx, auth.Attempt{Email: email, Password: "a guess"})
		requireCode(t, "too_many_attempts", err)
	}
	once, err := s.ResetPassword(ctx, "test", ada)
	require.NoError(t, err)
	_, err = s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own})
	require.NoError(t, err, "a reset lets them in at once")
}

func TestAuditorsOnlyRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	once, err := s.Create(ctx, "test", ada, auth.Auditor)
	require.NoError(t, err)
	session, err := s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own})
	require.NoError(t, err)
	_, err = s.Authenticate(ctx, session.Token, false)
	require.NoError(t, err)
	_, err = s.Authenticate(ctx, session.Token, true)
	require.ErrorIs(t, err, auth.ErrReadOnly)
}

// TestInstancesKnowEachOthersTokens, also when both make the platform's key.
func TestInstancesKnowEachOthersTokens(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	once, err := newAdmins(t, db).Create(ctx, "test", ada, auth.PlatformAdmin)
	require.NoError(t, err)
	_, err = newAdmins(t, db).Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own})
	require.NoError(t, err)
	instances := []*auth.Service{newAdmins(t, db), newAdmins(t, db), newAdmins(t, db)}
	tokens := make([]string, len(instances))
	var wg sync.WaitGroup
	for i, s := range instances {
		wg.Go(func() {
			session, err := s.Login(ctx, auth.Attempt{Email: ada, Password: own})
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = session.Token
		})
	}
	wg.Wait()
	for _, s := range instances {
		for _, token := range tokens {
			_, err := s.Authenticate(ctx, token, true)
			require.NoError(t, err)
		}
	}
}

func TestChangesOfAdminsAreRecorded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	once, err := s.Create(ctx, "operator test", ada, auth.PlatformAdmin)
	require.NoError(t, err)
	_, err = s.Create(ctx, "operator test", ada, auth.Auditor)
	require.ErrorIs(t, err, auth.ErrAdminTaken)
	_, err = s.Create(ctx, "operator test", "other@example.com", "king")
	requireCode(t, "invalid_input", err)
	_, err = s.ResetPassword(ctx, "operator test", "nobody@example.com")
	require.ErrorIs(t, err, auth.ErrNoAdmin)
	session, err := s.Login(ctx, auth.Attempt{Email: ada, Password: once, NewPassword: own, Address: "192.0.2.1"})
	require.NoError(t, err)
	finish, err := s.Begin(ctx, auth.Record{Actor: session.ID, Action: "start-move", Subject: "s", Details: `{"target":"b"}`, Address: "192.0.2.1"})
	require.NoError(t, err)
	require.NoError(t, finish(ctx, "backend_not_found"))
	_, err = s.Begin(ctx, auth.Record{Actor: session.ID, Action: "start-move", Subject: "s", Details: `{}`})
	require.NoError(t, err)

	var seen []auth.Record
	for cursor := ""; ; {
		page, err := s.Records(ctx, cursor, 3)
		require.NoError(t, err)
		seen = append(seen, page...)
		if len(page) < 3 {
			break
		}
		cursor = page[len(page)-1].ID
	}
	require.Len(t, seen, 4)
	type line struct{ actor, email, action, subject, outcome, ip string }
	var lines []line
	for _, r := range seen {
		email := ""
		if r.Email != nil {
			email = *r.Email
		}
		require.NotZero(t, r.At)
		require.NotContains(t, r.Details, once)
		lines = append(lines, line{r.Actor, email, r.Action, r.Subject, r.Outcome, r.Address})
	}
	require.Equal(t, []line{
		{session.ID, ada, "start-move", "s", "begun", ""},
		{session.ID, ada, "start-move", "s", "backend_not_found", "192.0.2.1"},
		{session.ID, ada, "change-password", session.ID, "done", "192.0.2.1"},
		{"operator test", "", "create-admin", session.ID, "done", ""},
	}, lines)
}

// TestRevokeTokens: a token that lay in a file lets nobody in any more, and the admin can
// log in by a new password.
func TestRevokeTokens(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newAdmins(t, controltest.Open(t))
	file := filepath.Join(t.TempDir(), "admin.token")
	require.NoError(t, s.Bootstrap(ctx, "test", ada, file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	token := strings.TrimSpace(string(text))
	_, err = s.Authenticate(ctx, token, true)
	require.NoError(t, err)
	for _, n := range []int64{1, 0} {
		revoked, err := s.RevokeTokens(ctx, "test", ada)
		require.NoError(t, err)
		require.Equal(t, n, revoked)
		_, err = s.Authenticate(ctx, token, false)
		require.ErrorIs(t, err, auth.ErrInvalidToken)
	}
	_, err = s.RevokeTokens(ctx, "test", "nobody@example.com")
	require.ErrorIs(t, err, auth.ErrNoAdmin)
	_, err = s.ResetPassword(ctx, "test", ada)
	require.NoError(t, err)
}

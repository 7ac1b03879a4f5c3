package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
)

const (
	accessLife = 10 * time.Minute
	leeway     = 10 * time.Second
)

// signingKey signs one storefront's access tokens: another storefront's token
// fails at the signature, whatever its claims say.
type signingKey struct {
	id      string
	private ed25519.PrivateKey
}

// signers keeps the storefronts' keys, which live in the control database: tokens
// outlive a move. Safe for concurrent use.
type signers struct {
	db   *control.DB
	keys *crypto.Keyring

	mu    sync.Mutex
	known map[backends.StorefrontID]*signingKey
}

// of finds or makes a storefront's key.
func (s *signers) of(ctx context.Context, storefront backends.StorefrontID) (*signingKey, error) {
	s.mu.Lock()
	key := s.known[storefront]
	s.mu.Unlock()
	if key != nil {
		return key, nil
	}
	fresh := &signingKey{id: ids.New()}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	fresh.private = private
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		id, sealed, err := findSigningKey(tx, storefront)
		if err != nil {
			return err
		}
		if id == "" {
			key = fresh
			return insertSigningKey(tx, storefront, key.id, public, s.keys.Seal(private.Seed(), keyAAD(storefront, key.id)))
		}
		seed, err := s.keys.Open(sealed, keyAAD(storefront, id))
		if err == nil {
			key = &signingKey{id: id, private: ed25519.NewKeyFromSeed(seed)}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.known[storefront] = key
	s.mu.Unlock()
	return key, nil
}

func keyAAD(storefront backends.StorefrontID, id string) []byte {
	return []byte("signing key/" + string(storefront) + "/" + id)
}

// claims of an access token, RFC 9068 with ours.
type claims struct {
	jwt.RegisteredClaims
	Tenant  string `json:"tid"`
	Session string `json:"sid"`
	Cred    int64  `json:"cred"`
}

func (k *signingKey) sign(storefront backends.StorefrontID, customer, session string, cred int64, now time.Time) (token string, life time.Duration, err error) {
	life = accessLife - rand.N(accessLife/20) // so that a crowd does not refresh at once
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer(storefront), Audience: jwt.ClaimStrings{audience(storefront)}, Subject: customer,
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		Tenant: string(storefront), Session: session, Cred: cred,
	})
	t.Header["typ"], t.Header["kid"] = "at+jwt", k.id
	token, err = t.SignedString(k.private)
	return token, life, err
}

func issuer(s backends.StorefrontID) string   { return "smartseller/" + string(s) }
func audience(s backends.StorefrontID) string { return "storefront:" + string(s) }

// verify checks signature and claims, not yet the session. expiredToo lets an
// expired token through, for logging out.
func (k *signingKey) verify(storefront backends.StorefrontID, token string, expiredToo bool) (*claims, error) {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer(storefront)), jwt.WithAudience(audience(storefront)),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
	}
	var c claims
	t, err := jwt.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != "at+jwt" || t.Header["kid"] != k.id {
			return nil, errors.New("not an access token of this storefront")
		}
		return k.private.Public(), nil
	}, options...)
	if err != nil && (!expiredToo || !errors.Is(err, jwt.ErrTokenExpired)) || t == nil || c.Tenant != string(storefront) {
		return nil, ErrInvalidToken.Because(err)
	}
	return &c, nil
}

// refresh is what a refresh token says. Its counter makes each usable once.
type refresh struct {
	storefront backends.StorefrontID
	session    string
	counter    int64
	mac        []byte
}

const (
	refreshPrefix = "ssr_"
	refreshBody   = 1 + 16 + 16 + 8 // version, storefront, session, counter
	refreshMAC    = 16
)

func newRefresh(storefront backends.StorefrontID, session string, counter int64, key []byte) (string, error) {
	tenant, err := uuid.Parse(string(storefront))
	if err != nil {
		return "", err
	}
	id, err := uuid.Parse(session)
	if err != nil {
		return "", err
	}
	b := append([]byte{1}, tenant[:]...)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(counter))
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(b, refreshTag(b, key)...)), nil
}

func refreshTag(body, key []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(body)
	return m.Sum(nil)[:refreshMAC]
}

// parseRefresh reads a token; its tag can be checked when the session is known.
func parseRefresh(token string) (refresh, error) {
	text, ok := strings.CutPrefix(token, refreshPrefix)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != refreshBody+refreshMAC || b[0] != 1 {
		return refresh{}, ErrInvalidToken
	}
	return refresh{
		storefront: backends.StorefrontID(uuid.UUID(b[1:17]).String()), session: uuid.UUID(b[17:33]).String(),
		counter: int64(binary.BigEndian.Uint64(b[33:41])), mac: b,
	}, nil
}

func (r refresh) signedBy(key []byte) bool {
	return hmac.Equal(refreshTag(r.mac[:refreshBody], key), r.mac[refreshBody:])
}

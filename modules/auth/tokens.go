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

func newSigners(db *control.DB, keys *crypto.Keyring) *signers {
	return &signers{db: db, keys: keys, known: map[backends.StorefrontID]*signingKey{}}
}

// of finds or makes a storefront's key. The platform's own has platformKey for a storefront.
func (s *signers) of(ctx context.Context, storefront backends.StorefrontID) (*signingKey, error) {
	s.mu.Lock()
	key := s.known[storefront]
	s.mu.Unlock()
	if key != nil {
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
	s.mu.Lock()
	s.known[storefront] = key
	s.mu.Unlock()
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

// claims of an access token, RFC 9068 with ours.
type claims struct {
	jwt.RegisteredClaims
	Tenant  string `json:"tid"`
	Session string `json:"sid"`
	Cred    int64  `json:"cred"`
}

func (k *signingKey) sign(storefront backends.StorefrontID, customer, session string, cred int64, now time.Time) (token string, life time.Duration, err error) {
	life = accessLife - rand.N(accessLife/20) // so that a crowd does not refresh at once
	token, err = k.seal(claims{
		RegisteredClaims: registered(issuer(storefront), audience(storefront), customer, now, life),
		Tenant:           string(storefront), Session: session, Cred: cred,
	})
	return token, life, err
}

func registered(issuer, audience, subject string, now time.Time, life time.Duration) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: subject,
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	}
}

const accessType = "at+jwt" // RFC 9068

// seal makes a signed token of claims.
func (k *signingKey) seal(c jwt.Claims) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	t.Header["typ"], t.Header["kid"] = accessType, k.id
	return t.SignedString(k.private)
}

func issuer(s backends.StorefrontID) string   { return "smartseller/" + string(s) }
func audience(s backends.StorefrontID) string { return "storefront:" + string(s) }

// verify checks signature and claims, not yet the session. expiredToo lets an
// expired token through, for logging out.
func (k *signingKey) verify(storefront backends.StorefrontID, token string, expiredToo bool) (*claims, error) {
	var c claims
	err := k.parse(token, &c, issuer(storefront), audience(storefront))
	if err != nil && (!expiredToo || !errors.Is(err, jwt.ErrTokenExpired)) || c.Tenant != string(storefront) {
		return nil, ErrInvalidToken.Because(err)
	}
	return &c, nil
}

// parse checks an access token's signature and registered claims.
func (k *signingKey) parse(token string, c jwt.Claims, issuer, audience string) error {
	_, err := jwt.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != accessType || t.Header["kid"] != k.id {
			return nil, errors.New("not an access token by this key")
		}
		return k.private.Public(), nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway))
	return err
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

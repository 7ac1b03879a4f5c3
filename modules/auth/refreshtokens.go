package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/google/uuid"

	"smartseller/backends"
)

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

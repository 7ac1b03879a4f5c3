package ids

import (
	"crypto/rand"
	"math/big"

	"github.com/google/uuid"
)

// Between is a random point before last, and not before the one before first: whatever
// comes behind it begins anywhere from first to last, both identifiers. It is no
// identifier itself.
func Between(first, last string) (string, error) {
	from, err := uuid.Parse(first)
	if err != nil {
		return "", err
	}
	to, err := uuid.Parse(last)
	if err != nil {
		return "", err
	}
	low := new(big.Int).SetBytes(from[:])
	span := new(big.Int).Sub(new(big.Int).SetBytes(to[:]), low)
	if span.Sign() <= 0 {
		span.SetInt64(0)
	}
	n, err := rand.Int(rand.Reader, span.Add(span, big.NewInt(1)))
	if err != nil {
		return "", err
	}
	n.Add(n, low)
	if n.Sign() > 0 {
		n.Sub(n, big.NewInt(1))
	}
	var point uuid.UUID
	n.FillBytes(point[:])
	return point.String(), nil
}

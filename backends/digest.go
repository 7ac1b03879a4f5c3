package backends

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// Digest is a sum modulo 2^256 of SHA-256 digests of canonical rows, so that it
// does not depend on order and two bad rows cannot cancel as they would under
// XOR. Little-endian limbs.
type Digest [4]uint64

// Add adds another digest.
func (d *Digest) Add(o Digest) {
	var carry uint64
	for i := range d {
		d[i], carry = bits.Add64(d[i], o[i], carry)
	}
}

// String is the digest in hexadecimal, most significant byte first.
func (d Digest) String() string {
	var b [32]byte
	for i, limb := range d {
		binary.BigEndian.PutUint64(b[(3-i)*8:], limb)
	}
	return hex.EncodeToString(b[:])
}

// DigestOf is the digest of one row, as Page.Digest. buf is scratch that callers
// reuse; the grown one comes back.
func DigestOf(t *Table, r Row, buf []byte) (Digest, []byte, error) {
	p := Page{Table: t, data: buf[:0]}
	if err := p.Append(r); err != nil {
		return Digest{}, p.data, err
	}
	return p.Digest(0), p.data, nil
}

// SumsModulus bounds each value of a server-side sum, so that no engine overflows.
const SumsModulus = 1000003

// SumsOf says what Reader.Sums returns, as one SQL expression per number:
// the row count; per TEXT and BYTEA column the bytes in total; per BIGINT column
// the sum of values modulo SumsModulus; per nullable column the number of NULLs.
// octets names the engine's function for the length in bytes.
func SumsOf(t *Table, octets func(column string) string) []string {
	out := []string{"count(*)"}
	for _, c := range t.Columns {
		if c.Type == Integer {
			out = append(out, fmt.Sprintf("COALESCE(sum(%s %% %d), 0)", c.Name, SumsModulus))
		} else {
			out = append(out, fmt.Sprintf("COALESCE(sum(%s), 0)", octets(c.Name)))
		}
		if c.Null {
			out = append(out, fmt.Sprintf("count(*) - count(%s)", c.Name))
		}
	}
	return out
}

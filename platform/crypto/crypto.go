// Package crypto derives every key of the program from one master key, and
// seals what the control database must not hold in the clear.
package crypto

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// MasterKeySize is the size of a master key in bytes.
const MasterKeySize = 32

// Keyring holds a master key. Safe for concurrent use.
type Keyring struct {
	master []byte
	box    cipher.AEAD
}

// New makes a keyring from a master key of MasterKeySize bytes.
func New(master []byte) (*Keyring, error) {
	if len(master) != MasterKeySize {
		return nil, fmt.Errorf("the master key has %d bytes, it must have %d", len(master), MasterKeySize)
	}
	k := &Keyring{master: append([]byte(nil), master...)}
	box, err := chacha20poly1305.NewX(k.Derive("seal", chacha20poly1305.KeySize))
	if err != nil {
		return nil, err
	}
	k.box = box
	return k, nil
}

// LoadOrCreate reads the master key, in hexadecimal, from a file; when there is
// none it makes one with mode 0600. Two processes that start at once end up with
// the same key: the file appears whole and only once.
func LoadOrCreate(path string) (*Keyring, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make master key %s: %w", path, err)
		}
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	master, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("master key %s is not hexadecimal: restore it from a backup; without it sealed data is lost", path)
	}
	return New(master)
}

func create(path string) error {
	master := make([]byte, MasterKeySize)
	if _, err := rand.Read(master); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".master-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(master) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// Link, unlike Rename, fails when another process was first.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// A power cut must not take back a key that things were sealed with.
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Derive makes a key of size bytes for a purpose (HKDF-SHA-256, RFC 5869).
func (k *Keyring) Derive(purpose string, size int) []byte {
	out, err := hkdf.Key(sha256.New, k.master, nil, "smartseller/"+purpose, size)
	if err != nil {
		panic(err) // only for sizes over 8,160 bytes
	}
	return out
}

// Seal encrypts and authenticates plain (XChaCha20-Poly1305); aad must be the
// same at Open and is not part of the result.
func (k *Keyring) Seal(plain, aad []byte) []byte {
	nonce := make([]byte, k.box.NonceSize(), k.box.NonceSize()+len(plain)+k.box.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		panic(err) // crypto/rand never fails on the systems we run on
	}
	return k.box.Seal(nonce, nonce, plain, aad)
}

// ErrSealed says that sealed data was made with another key or for another
// purpose, or was changed.
var ErrSealed = errors.New("sealed data cannot be opened: another master key, or it was changed")

// Open reverses Seal.
func (k *Keyring) Open(sealed, aad []byte) ([]byte, error) {
	n := k.box.NonceSize()
	if len(sealed) < n {
		return nil, ErrSealed
	}
	plain, err := k.box.Open(nil, sealed[:n], sealed[n:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// HMAC is HMAC-SHA-256 under the purpose's key over the parts, each with its
// length, so that two lists of parts never collide.
func (k *Keyring) HMAC(purpose string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, k.Derive("hmac/"+purpose, 32))
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		mac.Write(n[:])
		mac.Write(p)
	}
	return mac.Sum(nil)
}

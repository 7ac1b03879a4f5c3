package auth

import "golang.org/x/crypto/bcrypt"

// NewCheapPasswords is NewPasswords for tests that hash often, and of which the race
// detector makes many times as much.
func NewCheapPasswords() (*Passwords, error) { return newPasswords(bcrypt.MinCost) }

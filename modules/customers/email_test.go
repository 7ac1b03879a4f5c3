package customers_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/customers"
)

func TestEmailKey(t *testing.T) {
	t.Parallel()
	for email, key := range map[string]string{
		"Ada@Example.COM":        "ada@example.com",
		"a.b+c@example.com":      "a.b+c@example.com",
		"ada@bücher.example":     "ada@xn--bcher-kva.example",
		"ada@BÜCHER.example":     "ada@xn--bcher-kva.example",
		"ada@İcloud.example":     "ada@xn--icloud-pyd.example", // not icloud: U+0130 is another letter
		"ada@ICLOUD.example":     "ada@icloud.example",
		"ada@\u212Aiosk.example": "ada@kiosk.example", // a Kelvin sign is a k, also to who sends mail
		"ada@straße.example":     "ada@xn--strae-oqa.example",
		"ada@a_b.example":        "",
		"ada@-a.example":         "",
		"ada@xn--a.example":      "",
		"o'neil@example.com":     "o'neil@example.com",
		"":                       "",
		"ada":                    "",
		"@example.com":           "",
		"ada@":                   "",
		"ada@example":            "",
		"ada@@example.com":       "",
		"a..b@example.com":       "",
		".a@example.com":         "",
		"a.@example.com":         "",
		"Ada <ada@example.com>":  "",
		`"a b"@example.com`:      "",
		"ada\n@example.com":      "",
		"аda@example.com":        "", // a Cyrillic letter
		"ada@exa mple.com":       "",

		strings.Repeat("a", 64) + "@example.com":           strings.Repeat("a", 64) + "@example.com",
		strings.Repeat("a", 65) + "@example.com":           "",
		"ada@" + strings.Repeat("a.", 119) + "example.com": "ada@" + strings.Repeat("a.", 119) + "example.com",
		"ada@" + strings.Repeat("a.", 120) + "example.com": "",
		"ada@" + strings.Repeat("a", 64) + ".example.com":  "",
	} {
		got, err := customers.EmailKey(email)
		require.Equal(t, key, got, "%q", email)
		require.Equal(t, key == "", err != nil, "%q", email)
	}
}

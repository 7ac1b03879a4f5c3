package customers

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestLengthsAreTheDocuments: what comes in otherwise, as from a shop's export, may be as
// long as the API takes it, and no longer.
func TestLengthsAreTheDocuments(t *testing.T) {
	t.Parallel()
	for field := range reflect.TypeFor[addressFields]().Fields() {
		if field.Name == "Country" || field.Name == "Phone" { // which have a form of their own
			continue
		}
		most, err := strconv.Atoi(field.Tag.Get("maxLength"))
		require.NoError(t, err, field.Name)
		given := AddressFields{Line1: "Lane 1", City: "Graz", Country: "AT"}
		value := reflect.ValueOf(&given).Elem().FieldByName(field.Name)
		value.SetString(strings.Repeat("ü", most))
		require.NoError(t, given.Check(), field.Name)
		value.SetString(strings.Repeat("ü", most+1))
		require.Equal(t, tooLong(fault.Of(given.Check()).Fields[0].Pointer, most), given.Check(), field.Name)
	}
}

package sample

import (
	"encoding/csv"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

var (
	firstNames = []string{"Ada", "Zoë", "Søren", "Μαρία", "Олег", "葵", "Íñigo", "Anne-Marie", "D'Arcy", "Noor", "Łucja", "Thandi", "Jürgen", "Inês", "Vũ"}
	lastNames  = []string{"Poe", "'t Hooft", "O'Brien", "Łukasik", "Καρράς", "Бойко", "佐藤", "van der Berg", "Nuñez", "Åkesson", "Đặng", "Okoye", "Smith-Ray", "Li", "Öztürk"}
	companies  = []string{"", "", "", "Kites & Sons, Ltd.", `The "Old" Mill`}
	notes      = []string{"", "", "", "", "Prefers the \"quiet\" courier", "Rings twice,\nthen waits", "VIP, since 2021", "<b>fragile</b>"}
	tags       = []string{"", "", "", "regular", "regular, wholesale", "newsletter"}
	domains    = []string{"example.com", "example.org", "example.net"}
	offsets    = []int{-5, -4, 0, 1, 2, 9}
	places     = []place{
		{"Utrecht", "", "NL", "3511 AA"},
		{"Graz", "", "AT", "8010"},
		{"Boston", "MA", "US", "02108"},
		{"Łódź", "", "PL", "90-001"},
		{"Málaga", "MA", "ES", "29001"},
		{"Québec", "QC", "CA", "G1A 0A2"},
		{"Kōbe", "JP-28", "JP", "650-0001"},
		{"Cork", "CO", "IE", "T12 AB34"},
	}
	adjectives = []string{"Red", "Quiet", "Folding", "Woollen", "Tiny", "Garden", "Paper", "Striped", "Copper", "Night"}
	nouns      = []string{"Kite", "Lamp", "Chair", "Scarf", "Teapot", "Compass", "Lantern", "Hammock", "Notebook", "Kettle", "Parasol"}
	vendors    = []string{"Wind & Co", "Mill Lane", "North Quay"}
	kinds      = []string{"Toys", "Home", "Outdoor"}
	choices    = []string{"Small", "Medium", "Large"}
)

type place struct{ city, province, country, zip string }

// Salts keep the numbers of customers, products and orders apart.
const (
	customerSalt = iota + 1
	duplicateSalt
	productSalt
	orderSalt
)

func (s Shop) random(salt uint64, n int) *rand.Rand {
	return rand.New(rand.NewPCG(s.Seed, salt<<48|uint64(n)))
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// chance is true once in n times.
func chance(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// plainLetters is what of a name fits the local part of an address.
func plainLetters(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}

func cents(amount int64) string {
	text := strconv.FormatInt(amount, 10)
	for len(text) < 3 {
		text = "0" + text
	}
	return text[:len(text)-2] + "." + text[len(text)-2:]
}

// table writes rows by the names of their columns.
type table struct {
	csv     *csv.Writer
	columns []string
}

func newTable(w io.Writer, columns string) (*table, error) {
	t := &table{csv: csv.NewWriter(w), columns: strings.Split(columns, ",")}
	return t, t.csv.Write(t.columns)
}

func (t *table) add(row map[string]string) error {
	values := make([]string, len(t.columns))
	for i, column := range t.columns {
		values[i] = row[column]
	}
	return t.csv.Write(values)
}

func (t *table) end() error {
	t.csv.Flush()
	return t.csv.Error()
}

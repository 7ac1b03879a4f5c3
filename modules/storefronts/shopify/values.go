package shopify

import (
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"
)

// scaleOf is the number of decimals of a currency's amounts; false for what is no
// ISO 4217 code.
func scaleOf(code string) (int, bool) {
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return 0, false
	}
	scale, _ := currency.Standard.Rounding(unit)
	return scale, true
}

// money reads an amount in minor units; 0 when the value is empty.
func (s *sheet) money(column string, scale int) int64 {
	value := s.text(column)
	if value == "" {
		return 0
	}
	amount, ok := decimal(value, scale)
	if !ok || amount < 0 {
		s.fail(column, "must be an amount such as 12.50, not negative and with at most %d decimals", scale)
	}
	return amount
}

// moneyIfAny is money, and nil when the value is empty.
func (s *sheet) moneyIfAny(column string, scale int) *int64 {
	if s.text(column) == "" {
		return nil
	}
	amount := s.money(column, scale)
	return &amount
}

// decimal reads a decimal number as an integer of that many decimals, exactly:
// digits past them must be zeros.
func decimal(value string, scale int) (int64, bool) {
	whole, fraction, dotted := strings.Cut(value, ".")
	negative := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	if whole == "" || dotted && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, false
	}
	if len(fraction) > scale {
		if strings.Trim(fraction[scale:], "0") != "" {
			return 0, false
		}
		fraction = fraction[:scale]
	}
	digits := whole + fraction + strings.Repeat("0", scale-len(fraction))
	amount, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || amount > math.MaxInt64/1_000_000 { // sums of many must fit too
		return 0, false
	}
	if negative {
		amount = -amount
	}
	return amount, true
}

// number reads a whole number; nil when the value is empty.
func (s *sheet) number(column string) *int64 {
	value := s.code(column)
	if value == "" {
		return nil
	}
	n, ok := decimal(value, 0)
	if !ok {
		s.fail(column, "must be a whole number")
	}
	return &n
}

// grams reads a weight, rounded to whole grams.
func (s *sheet) grams(column string) int64 {
	value := s.text(column)
	if value == "" {
		return 0
	}
	whole, fraction, _ := strings.Cut(value, ".")
	thousandths, ok := decimal(whole+"."+(fraction + "000")[:3], 3)
	if !ok || thousandths < 0 || strings.Trim(fraction, "0123456789") != "" {
		s.fail(column, "must be a weight in grams, such as 250")
	}
	return (thousandths + 500) / 1000
}

// truth reads yes or no; fallback when the value is empty.
func (s *sheet) truth(column string, fallback bool) bool {
	switch strings.ToLower(s.text(column)) {
	case "yes", "true":
		return true
	case "no", "false":
		return false
	case "":
		return fallback
	}
	s.fail(column, "must be yes, no, true or false")
	return fallback
}

// instant reads a time with its offset, in microseconds UTC; nil when the value is
// empty.
func (s *sheet) instant(column string) *int64 {
	value := s.text(column)
	if value == "" {
		return nil
	}
	value = strings.Replace(value, " UTC", " +0000", 1)
	t, err := time.Parse("2006-01-02 15:04:05 -0700", value)
	if err != nil || t.Year() < 1970 {
		s.fail(column, "must be a time with its offset, such as 2024-01-31 13:45:00 +0100")
		return nil
	}
	micros := t.UnixMicro()
	return &micros
}

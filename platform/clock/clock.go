// Package clock lets tests own time.
package clock

import "time"

// Clock tells the time. Safe for concurrent use.
type Clock func() time.Time

// System is the machine's clock in UTC, cut to microseconds, which is what every
// backend stores: a time read back equals the time written.
func System() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

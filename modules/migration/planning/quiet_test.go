package planning

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"smartseller/modules/migration"
)

func TestCutoversComeAtQuietPermittedMoments(t *testing.T) {
	t.Parallel()
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC) }
	not := func(times ...time.Time) (all migration.Blackouts) {
		for n := 0; n < len(times); n += 2 {
			all = append(all, migration.Blackout{From: times[n], Until: times[n+1]})
		}
		return all
	}
	var quietAtThree, busy Day
	for hour := range busy {
		busy[hour], quietAtThree[hour] = 7, 7
	}
	quietAtThree[3] = 1
	berlin, err := migration.ParseWindow("01:30-03:00", "Europe/Berlin") // 00:30 to 02:00 UTC
	require.NoError(t, err)
	for name, c := range map[string]struct {
		now, ready time.Time
		window     migration.Window
		blackouts  migration.Blackouts
		atOnce     bool
		day        Day
		at         time.Time
		why        string
	}{
		"nothing forbids it":        {now: at(1, 12, 5), atOnce: true, day: quietAtThree, at: at(1, 12, 5)},
		"nobody ever comes":         {now: at(1, 12, 5), at: at(1, 12, 5)},
		"always the same":           {now: at(1, 12, 5), day: busy, at: at(1, 12, 5)},
		"quieter by night":          {now: at(1, 12, 5), day: quietAtThree, at: at(2, 3, 0), why: "the quietest hour of a day"},
		"that hour":                 {now: at(2, 3, 40), ready: at(1, 12, 5), day: quietAtThree, at: at(2, 3, 40)},
		"it was missed":             {now: at(2, 4, 0), ready: at(1, 12, 5), day: quietAtThree, at: at(2, 4, 0)},
		"window":                    {now: at(1, 12, 5), window: berlin, atOnce: true, at: at(2, 0, 30), why: "the window 01:30-03:00 Europe/Berlin"},
		"in the window":             {now: at(2, 1, 59), window: berlin, day: busy, at: at(2, 1, 59)},
		"the window is not quiet":   {now: at(1, 12, 5), window: berlin, day: quietAtThree, at: at(2, 0, 30), why: "the window 01:30-03:00 Europe/Berlin"},
		"blackout":                  {now: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(5, 9, 0)), at: at(5, 9, 0), why: "the seller asked for no move until 2026-03-05T09:00:00Z"},
		"blackout, then the window": {now: at(1, 12, 5), window: berlin, blackouts: not(at(1, 0, 0), at(5, 9, 0)), at: at(6, 0, 30), why: "the window 01:30-03:00 Europe/Berlin"},
		"blackout, then quiet":      {now: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(5, 9, 0)), day: quietAtThree, at: at(6, 3, 0), why: "the quietest hour of a day"},
		"blackout is over":          {now: at(5, 9, 1), ready: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(5, 9, 0)), day: quietAtThree, at: at(6, 3, 0), why: "the quietest hour of a day"},
		"blackouts that overlap":    {now: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(3, 0, 0), at(2, 0, 0), at(5, 9, 0)), at: at(5, 9, 0), why: "the seller asked for no move until 2026-03-05T09:00:00Z"},
		"blackouts that adjoin":     {now: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(3, 0, 0), at(3, 0, 0), at(5, 9, 0)), at: at(5, 9, 0), why: "the seller asked for no move until 2026-03-05T09:00:00Z"},
		"between two blackouts":     {now: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(3, 0, 0), at(4, 0, 0), at(5, 9, 0)), at: at(3, 0, 0), why: "the seller asked for no move until 2026-03-03T00:00:00Z"},
		"blackouts and windows":     {now: at(1, 12, 5), window: berlin, blackouts: not(at(1, 0, 0), at(3, 0, 0), at(3, 0, 30), at(4, 0, 31)), at: at(4, 0, 31), why: "the seller asked for no move until 2026-03-04T00:31:00Z"},
		"quiet behind the last":     {now: at(5, 9, 1), ready: at(1, 12, 5), blackouts: not(at(1, 0, 0), at(4, 0, 0), at(2, 0, 0), at(5, 9, 0), at(9, 0, 0), at(10, 0, 0)), day: quietAtThree, at: at(6, 3, 0), why: "the quietest hour of a day"},
		"blackout begins later":     {now: at(1, 12, 5), blackouts: not(at(2, 0, 0), at(5, 9, 0)), day: quietAtThree, at: at(1, 12, 5)},
	} {
		if c.ready.IsZero() {
			c.ready = c.now
		}
		got, why := cutoverAt(c.now, c.ready, c.window, c.blackouts, c.atOnce, c.day)
		require.Equal(t, c.at, got.UTC(), name)
		require.Equal(t, c.why, why, name)
	}
}

// TestWindowsAreMadeOnce, and those that are none each time.
func TestWindowsAreMadeOnce(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		`{}`: "",
		`{"cutover_window":"02:00-05:00","time_zone":"Europe/Berlin"}`: "02:00-05:00 Europe/Berlin",
		`{"cutover_window":"02:00-05:00","time_zone":"Asia/Tokyo"}`:    "02:00-05:00 Asia/Tokyo",
		`{"cutover_window":"02:00-04:00","time_zone":"Asia/Tokyo"}`:    "02:00-04:00 Asia/Tokyo",
	} {
		for range 2 {
			w, err := windowOf(options)
			require.NoError(t, err)
			require.Equal(t, want, w.String())
		}
	}
	for range 2 {
		_, err := windowOf(`{"cutover_window":"02:00-05:00","time_zone":"Nowhere"}`)
		require.Error(t, err)
	}
}

// TestACutoverComes: whoever looks again and again finds the moment, within a day of
// the first that is permitted.
func TestACutoverComes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ready := time.Date(2026, 3, 28, 0, rapid.IntRange(0, 3000).Draw(t, "minute"), 0, 0, time.UTC) // clocks change that night
		window, err := migration.ParseWindow(rapid.SampledFrom([]string{"", "02:00-02:30", "23:10-00:10", "08:00-07:00"}).Draw(t, "window"), "Europe/Berlin")
		require.NoError(t, err)
		var blackouts migration.Blackouts
		begin := ready.Add(-9 * time.Hour)
		for range rapid.IntRange(0, 20).Draw(t, "blackouts") { // each begins in or behind the last one
			begin = begin.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "later")) * time.Minute)
			blackouts = append(blackouts, migration.Blackout{From: begin, Until: begin.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "long")) * time.Minute)})
		}
		var day Day
		for hour := range day {
			day[hour] = float64(rapid.IntRange(0, 3).Draw(t, "requests"))
		}
		first, _ := permitted(ready, window, blackouts)
		for now := ready; ; now = now.Add(7 * time.Minute) {
			at, _ := cutoverAt(now, ready, window, blackouts, false, day)
			require.False(t, at.Before(now))
			_, held := blackouts.At(at)
			require.True(t, window.Open(at) && !held, "%s", at)
			require.LessOrEqual(t, at.Sub(first), 160*time.Hour)
			if !at.After(now) {
				return
			}
		}
	})
}

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
		blackout   Blackout
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
		"blackout":                  {now: at(1, 12, 5), blackout: Blackout{at(1, 0, 0), at(5, 9, 0)}, at: at(5, 9, 0), why: "the seller asked for no move until 2026-03-05T09:00:00Z"},
		"blackout, then the window": {now: at(1, 12, 5), window: berlin, blackout: Blackout{at(1, 0, 0), at(5, 9, 0)}, at: at(6, 0, 30), why: "the window 01:30-03:00 Europe/Berlin"},
		"blackout, then quiet":      {now: at(1, 12, 5), blackout: Blackout{at(1, 0, 0), at(5, 9, 0)}, day: quietAtThree, at: at(6, 3, 0), why: "the quietest hour of a day"},
		"blackout is over":          {now: at(5, 9, 1), ready: at(1, 12, 5), blackout: Blackout{at(1, 0, 0), at(5, 9, 0)}, day: quietAtThree, at: at(6, 3, 0), why: "the quietest hour of a day"},
		"blackout begins later":     {now: at(1, 12, 5), blackout: Blackout{at(2, 0, 0), at(5, 9, 0)}, day: quietAtThree, at: at(1, 12, 5)},
	} {
		if c.ready.IsZero() {
			c.ready = c.now
		}
		got, why := cutoverAt(c.now, c.ready, c.window, c.blackout, c.atOnce, c.day)
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
		blackout := Blackout{ready.Add(time.Duration(rapid.IntRange(-9, 30).Draw(t, "begin")) * time.Hour), ready.Add(time.Duration(rapid.IntRange(31, 60).Draw(t, "end")) * time.Hour)}
		var day Day
		for hour := range day {
			day[hour] = float64(rapid.IntRange(0, 3).Draw(t, "requests"))
		}
		first, _ := permitted(ready, window, blackout)
		for now := ready; ; now = now.Add(7 * time.Minute) {
			at, _ := cutoverAt(now, ready, window, blackout, false, day)
			require.False(t, at.Before(now))
			require.True(t, window.Open(at) && !blackout.holds(at), "%s", at)
			require.LessOrEqual(t, at.Sub(first), 120*time.Hour)
			if !at.After(now) {
				return
			}
		}
	})
}

package planning

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/migrations"
	"smartseller/modules/migration"
	"smartseller/platform/control"
	"smartseller/platform/pgserver/pgtest"
)

// onEach runs a test in a transaction of a control database of each engine.
func onEach(t *testing.T, test func(t *testing.T, tx control.Tx)) {
	t.Parallel()
	for _, engine := range []migrations.Engine{migrations.SQLite, migrations.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			dsn := "sqlite:" + filepath.Join(t.TempDir(), "control.db")
			if engine == migrations.Postgres {
				dsn = pgtest.Database(t)
			}
			db, err := control.Open(context.Background(), dsn)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			require.NoError(t, db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
				test(t, tx)
				return nil
			}))
		})
	}
}

// asked notes what was asked of a storefront in an hour that began so many hours ago.
func asked(t *testing.T, tx control.Tx, storefront backends.StorefrontID, ago, requests int64) {
	t.Helper()
	at := backends.StorefrontHour{Storefront: storefront, Hour: tx.Now()/hourMicros - ago}
	happened := map[backends.StorefrontHour]*backends.Traffic{at: {Requests: requests, At: time.UnixMicro(at.Hour * hourMicros)}}
	require.NoError(t, saveTraffic(tx, []backends.StorefrontHour{at}, happened))
}

// TestTheHourOfNowIsNoQuieter than others because a week has one less of it: the one that has
// begun does not count yet.
func TestTheHourOfNowIsNoQuieter(t *testing.T) {
	onEach(t, func(t *testing.T, tx control.Tx) {
		now := time.UnixMicro(tx.Now())
		hour := now.Truncate(time.Hour)
		for name, c := range map[string]struct {
			lasted int64 // hours for which anybody came
			quiet  int64 // the same hour of the day as so many hours ago is a little quieter; 0: none is
			at     time.Time
		}{
			"flat":                         {weekHours + 2, 0, now},
			"flat, of a young storefront":  {25, 0, now},
			"flat, of two days and a bit":  {55, 0, now},
			"one hour is quieter":          {weekHours + 2, 19, hour.Add(5 * time.Hour)},
			"of a young storefront":        {25, 19, hour.Add(5 * time.Hour)},
			"now is quieter":               {weekHours + 2, 24, now},
			"an hour ago was quieter":      {weekHours + 2, 1, hour.Add(23 * time.Hour)},
			"the hour to come was quieter": {weekHours + 2, 23, hour.Add(time.Hour)},
		} {
			id := backends.StorefrontID(name)
			for ago := c.lasted; ago >= 0; ago-- { // also of now, which has only begun
				requests := int64(100)
				if c.quiet > 0 && ago%24 == c.quiet%24 {
					requests = 99
				}
				asked(t, tx, id, ago, requests)
			}
			days := map[backends.StorefrontID]Day{}
			require.NoError(t, readDays(tx, []backends.StorefrontID{id, "nobody"}, days))
			require.InDelta(t, 100, days[id][(hour.UTC().Hour()+12)%24], 1e-9, name)
			at, _ := cutoverAt(now, now, migration.Window{}, nil, false, days[id])
			require.Equal(t, c.at, at, name)
			require.NotContains(t, days, backends.StorefrontID("nobody"))
		}
	})
}

func TestHoursOfTheDayAreCounted(t *testing.T) {
	t.Parallel()
	for hour := range int64(24) {
		for from := int64(40); from < 70; from++ {
			n := int64(0)
			for until := from; until < from+100; until++ {
				require.Equal(t, n, occurrences(hour, from, until), "%d from %d until %d", hour, from, until)
				if until%24 == hour {
					n++
				}
			}
		}
	}
}

// TestDaysAreReadOnceAMinute, and those of newcomers at once.
func TestDaysAreReadOnceAMinute(t *testing.T) {
	onEach(t, func(t *testing.T, tx control.Tx) {
		const old, idle, late = backends.StorefrontID("old"), backends.StorefrontID("idle"), backends.StorefrontID("late")
		var days recentDays
		hour := (tx.Now()/hourMicros - 5) % 24
		looks := func(at time.Time, of ...backends.StorefrontID) (requests []float64) {
			found, err := days.of(tx, at, of)
			require.NoError(t, err)
			require.Len(t, found, len(of))
			for _, id := range of {
				requests = append(requests, found[id][hour])
			}
			return requests
		}
		begin := time.UnixMicro(tx.Now())
		require.Empty(t, looks(begin))
		asked(t, tx, old, 5, 100)
		require.Equal(t, []float64{100, 0}, looks(begin, old, idle))
		asked(t, tx, old, 5, 50)
		asked(t, tx, idle, 5, 10)
		asked(t, tx, late, 5, 70)
		require.Equal(t, []float64{100, 0, 70}, looks(begin.Add(daysFresh-1), old, idle, late))
		require.Equal(t, []float64{150, 10, 70}, looks(begin.Add(daysFresh), old, idle, late))
		asked(t, tx, old, 5, 50)
		require.Equal(t, []float64{200}, looks(begin, old), "a clock was set back")
	})
}

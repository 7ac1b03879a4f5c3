package seller

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
)

// TestASellerLearnsWhen a move begins or changes over, and what it waits for.
func TestASellerLearnsWhen(t *testing.T) { onBoth(t, aSellerLearnsWhen) }

func aSellerLearnsWhen(t *testing.T, d *desk) {
	const verified, copying = `{"verified_at": 7}`, `{}`
	hour := time.Now().UTC().Truncate(time.Hour).Add(2 * time.Hour)
	window := fmt.Sprintf(`"cutover_window": "%s-%s", "time_zone": "UTC"`, hour.Format("15:04"), hour.Add(time.Hour).Format("15:04"))
	later := hour.Add(30 * time.Minute) // in the window
	for name, c := range map[string]struct {
		phase    migration.Phase
		options  string
		stats    string
		intent   migration.Intent
		lease    time.Time // nobody holds it
		blackout time.Time // until when; zero: none
		begins   time.Time
		cuts     time.Time
		awaits   planning.Awaits
	}{
		"begins later":            {phase: migration.Planned, options: `{"begin_at": 1}`, stats: copying, lease: later, begins: later, awaits: "begin"},
		"copies":                  {phase: migration.Copying, options: `{` + window + `}`, stats: copying},
		"paused":                  {phase: migration.Paused, stats: copying, awaits: "operator"},
		"goes on":                 {phase: migration.Paused, stats: copying, intent: migration.WantResume},
		"compares":                {phase: migration.Verifying, options: `{"manual_cutover": true}`, stats: copying},
		"may change over":         {phase: migration.Verifying, stats: verified},
		"a word":                  {phase: migration.Verifying, options: `{"manual_cutover": true}`, stats: verified, awaits: "operator"},
		"the word was said":       {phase: migration.Verifying, options: `{"manual_cutover": true}`, stats: verified, intent: migration.WantCutover},
		"is cancelled":            {phase: migration.Verifying, options: `{` + window + `}`, stats: verified, intent: migration.WantCancel},
		"a window":                {phase: migration.Verifying, options: `{` + window + `}`, stats: verified, cuts: hour, awaits: "window"},
		"a window of a rehearsal": {phase: migration.Verifying, options: `{"mode": "rehearsal", ` + window + `}`, stats: verified},
		"its seller":              {phase: migration.Verifying, stats: verified, blackout: later, cuts: later, awaits: "not_now"},
		"both":                    {phase: migration.Verifying, options: `{` + window + `}`, stats: verified, blackout: later, cuts: later, awaits: "not_now"},
		"both, overruled":         {phase: migration.Verifying, options: `{"manual_cutover": true, ` + window + `}`, stats: verified, intent: migration.WantCutover, blackout: later, cuts: hour, awaits: "window"},
	} {
		d.exec(`DELETE FROM moves`)
		d.exec(`DELETE FROM blackouts`)
		d.moved("m1", c.phase, c.intent, nil)
		if c.options == "" {
			c.options = `{}`
		}
		d.exec(`UPDATE moves SET options = $1, stats = $2, lease_until = $3`, c.options, c.stats, micros(c.lease))
		if !c.blackout.IsZero() {
			d.exec(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) VALUES ('b', 'toys', 1, $1, '')`, c.blackout.UnixMicro())
		}
		m, err := d.Move(context.Background(), toys, "m1")
		require.NoError(t, err, name)
		require.Equal(t, micros(c.begins), m.BeginsAt, name)
		require.Equal(t, micros(c.cuts), m.CutsAt, name)
		require.Equal(t, c.awaits, m.Awaits, name)
	}
}

// micros is a time as moves have it; 0: none.
func micros(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}

// TestWhatIsPlannedWaits for its turn, for its seller or for the operators of its plan.
func TestWhatIsPlannedWaits(t *testing.T) { onBoth(t, whatIsPlannedWaits) }

func whatIsPlannedWaits(t *testing.T, d *desk) {
	d.plan("waiting", "")
	awaits := func() planning.Awaits {
		found, _, err := d.Moves(context.Background(), toys, "", 10)
		require.NoError(t, err)
		require.Len(t, found, 1)
		return found[0].Awaits
	}
	require.Equal(t, planning.AwaitsTurn, awaits())
	d.asks(time.Hour, 2*time.Hour, "")
	require.Equal(t, planning.AwaitsTurn, awaits())
	d.asks(0, time.Hour, "")
	require.Equal(t, planning.AwaitsSeller, awaits())
	d.exec(`UPDATE plans SET state = 'paused'`)
	require.Equal(t, planning.AwaitsOperator, awaits())
}

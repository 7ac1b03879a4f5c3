package upgrades

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control/controltest"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// elsewhere is the name of a host that this one is not.
func elsewhere(t *testing.T) (here, there string) {
	t.Helper()
	here, err := os.Hostname()
	require.NoError(t, err)
	return here, here + "-not"
}

// putOn places a storefront on a backend that this host does not reach.
func (f *fleet) putOn(backend, slug string) backends.StorefrontID {
	f.t.Helper()
	id := ids.New()
	f.exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version)
		VALUES ($1, $2, '', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`, id, slug)
	f.exec(`INSERT INTO placements (storefront_id, backend, made_at_epoch, epoch, changed_at) VALUES ($1, $2, 1, 1, 0)`, id, backend)
	return backends.StorefrontID(id)
}

// TestFilesOfAnotherHost have no turn here: they wait for a server there, say so, and
// hold up nobody. An instance there upgrades them, beside the one that does the others.
func TestFilesOfAnotherHost(t *testing.T) { onBoth(t, filesOfAnotherHost) }

func filesOfAnotherHost(t *testing.T, f *fleet) {
	here, there := elsewhere(t)
	for _, slug := range []string{"shop-a", "shop-b", "shop-c"} {
		f.age(f.create(slug).Place())
	}
	stranger := f.upgraderOn(there, "stranger", alive)
	run, _ := f.begin(false)
	f.rest(stranger)
	waiting := f.placesOf(run, "")
	require.Len(t, waiting, 3)
	for _, p := range waiting {
		require.Equal(t, Waiting, p.State)
		require.Equal(t, "It lives on host "+here+": start a server there, of this version.", p.Cause)
		require.Equal(t, SchemaBehind, f.state(backends.Place{Backend: p.Backend, Storefront: p.Storefront, Epoch: 1}))
	}
	events, last, err := f.stream(context.Background(), run.ID, 0)
	require.NoError(t, err)
	require.False(t, last)
	require.Len(t, events, 3, "who follows is told, once")

	home := f.upgrader("home", alive)
	require.True(t, f.step(home), "though the stranger has the other lease")
	require.Len(t, f.placesOf(run, Done), 1)
	f.rest(stranger)
	for _, p := range f.placesOf(run, Waiting) {
		require.Empty(t, p.Cause, "somebody is there now")
	}
	f.rest(home)
	run, err = f.Run(context.Background(), run.ID)
	require.NoError(t, err)
	require.Equal(t, Running, run.State, "to end it is the stranger's")
	run = f.finish(run, stranger)
	require.Equal(t, map[PlaceState]int64{Done: 3}, run.Places)
}

// TestAHostWithoutServer keeps a run from its end, and nobody from anything else.
func TestAHostWithoutServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	here, there := elsewhere(t)
	require.NoError(t, f.directory.Register(ctx, backends.Config{Name: "far", Kind: backends.SQLite, Path: t.TempDir(), Host: there}))
	f.putOn("far", "remote")
	near, later := f.create("near").Place(), f.create("later").Place()
	f.age(near)
	f.age(later)

	run, _ := f.begin(false)
	u := f.upgrader("one", alive)
	f.rest(u)
	require.Len(t, f.placesOf(run, Done), 2)
	require.Equal(t, []SchemaState{SchemaCurrent, SchemaCurrent}, []SchemaState{f.state(near), f.state(later)})
	waiting := f.placesOf(run, Waiting)
	require.Len(t, waiting, 1)
	require.Contains(t, waiting[0].Cause, "lives on host "+there+": start a server there")

	f.create("newcomer")
	f.rest(u)
	require.Len(t, f.placesOf(run, Done), 2, "newcomers are looked for each minute while others wait")
	u.enrolled = u.enrolled.Add(-enrolEvery)
	f.rest(u)
	require.Len(t, f.placesOf(run, Done), 3)

	found, err := f.Schema(ctx, "remote")
	require.NoError(t, err)
	require.Equal(t, SchemaElsewhere, found.State)
	require.Equal(t, "lives on host "+there+": ask a server there", found.Problem)
	require.Equal(t, Fate{Waiting, waiting[0].Cause}, found.Upgrade)
	_, err = f.UpgradeSchema(ctx, "remote")
	require.Equal(t, "place_elsewhere", fault.Of(err).Code)
	require.Contains(t, fault.Of(err).Detail, "The files of far live on host "+there+", this is "+here)

	run, err = f.Cancel(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, map[PlaceState]int64{Done: 3, Skipped: 1}, run.Places)
}

// TestAHostsLeaseLostInAWave: its files are another instance's from then on, and an upgrade that
// was cut off says nothing of them.
func TestAHostsLeaseLostInAWave(t *testing.T) {
	t.Parallel()
	f := newFleet(t, controltest.Open(t))
	here, _ := elsewhere(t)
	f.age(f.create("shop").Place())
	run, _ := f.begin(false)
	slow := NewUpgrader(UpgraderOptions{
		Service: f.Service, Name: "slow", Log: slog.New(slog.DiscardHandler), Lease: 3 * time.Second,
		Hook: func(ctx context.Context, _ string) error {
			f.exec(`UPDATE leases SET holder = 'another', until = until + 60000000 WHERE name = $1`, leaseName+" on "+here)
			<-ctx.Done()
			return nil
		},
	})
	f.step(slow)
	require.Len(t, f.placesOf(run, Waiting), 1)
	f.expire()
	run = f.finish(run, f.upgrader("another", alive))
	require.Equal(t, map[PlaceState]int64{Done: 1}, run.Places)
}

// TestLaterWavesWaitForTheOtherHost while somebody is there.
func TestLaterWavesWaitForTheOtherHost(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	here, there := elsewhere(t)
	loose := filepath.Join(f.folder, "loose")
	require.NoError(t, os.Mkdir(loose, 0o700))
	require.NoError(t, f.directory.Register(ctx, backends.Config{Name: "loose", Kind: backends.SQLite, Path: loose})) // reached from anywhere
	for _, slug := range []string{"first", "second"} {
		f.createOn("loose", slug)
	}
	f.create("home")
	run, _ := f.begin(false)
	stranger, home := f.upgraderOn(there, "stranger", alive), f.upgrader("home", alive)
	held, err := home.leases.Of(here).Hold(ctx)
	require.NoError(t, err)
	require.True(t, held)
	f.rest(stranger)
	require.Len(t, f.placesOf(run, Done), 1)
	require.True(t, f.step(home))
	f.finish(run, stranger)
	require.Len(t, f.placesOf(run, Done), 3)
}

// TestHostsHaveTimeToCome: no host counts as one without a server before its instances have
// had time to learn of the run.
func TestHostsHaveTimeToCome(t *testing.T) {
	t.Parallel()
	f := newFleet(t, controltest.Open(t))
	_, there := elsewhere(t)
	f.create("first")
	stranger := f.upgraderOn(there, "stranger", alive)
	stranger.notice = time.Hour
	run, _ := f.begin(false)
	require.False(t, f.step(stranger))
	require.Empty(t, f.placesOf(run, Waiting)[0].Cause)
	stranger.notice = 0
	require.True(t, f.step(stranger))
	require.NotEmpty(t, f.placesOf(run, Waiting)[0].Cause)
}

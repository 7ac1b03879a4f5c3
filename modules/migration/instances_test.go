package migration

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/pgserver/pgtest"
)

// TestInstancesComeAndGo: over a control database in Postgres, instances join a move under
// way and the one that runs it leaves, before the cutover and before the rollback. Whoever
// is there serves the storefront all the time, and each follows it at once.
func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dsn = pgtest.Database(t)
	at := &stage{}
	there := []*instance{w.instance(t, at.hook), w.instance(t, at.hook)}
	s := scene{startLoad(there[0].storefront(t, 600), there[0].router, there[1].router), t}
	join := func() {
		there = append(there, w.instance(t, at.hook))
		s.use(routers(there)...)
	}
	at.set("K4")
	m := startTo(t, there[0], s.storefront, "two", Options{ManualCutover: true})
	happens(t, at.reached, "a mover at K4")
	join()
	close(at.goOn)
	s.verified(there[2], m.ID)

	there = s.ownerLeaves(there, m.ID)
	join()
	ask(t, there[0], m.ID, WantCutover)
	there[0].waitFor(t, m.ID, Watching)
	s.seenByAll(there)

	there = s.ownerLeaves(there, m.ID)
	join()
	ask(t, there[0], m.ID, WantRollback)
	there[0].waitFor(t, m.ID, RolledBack)
	s.seenByAll(there)
	s.check(t, there[len(there)-1].router)
}

func routers(of []*instance) (out []backends.TenantStore) {
	for _, i := range of {
		out = append(out, i.router)
	}
	return out
}

// ownerLeaves stops the instance that runs the move, as an operator would: no request
// goes there any more. It returns the others, of whom one has taken the move over.
func (s scene) ownerLeaves(there []*instance, move string) []*instance {
	m, err := there[0].service.Get(context.Background(), move)
	require.NoError(s.t, err)
	n := slices.IndexFunc(there, func(i *instance) bool { return i.runner.instance == m.Owner })
	require.GreaterOrEqual(s.t, n, 0, "nobody runs the move: %+v", m)
	owner, others := there[n], slices.Delete(slices.Clone(there), n, n+1)
	s.use(routers(others)...)
	require.Eventually(s.t, func() bool { return !s.asks(owner.router) }, waitLong, waitStep)
	owner.stop()
	require.Eventually(s.t, func() bool {
		now, err := others[0].service.Get(context.Background(), move)
		require.NoError(s.t, err)
		return now.Owner != "" && now.Owner != m.Owner
	}, waitLong, waitStep)
	return others
}

// seenByAll writes through each instance and reads through every one.
func (s scene) seenByAll(there []*instance) {
	c := &client{load: s.load, number: loadClients + 1}
	for _, writer := range there {
		for _, reader := range there {
			s.use(writer.router)
			require.NoError(s.t, c.put(hotCell))
			s.use(reader.router)
			require.NoError(s.t, c.read(hotCell))
		}
	}
	s.use(routers(there)...)
}

// TestRollbackFromADedicatedPlaceOfTwo: both instances have connections there, and the role
// that drops the place is no superuser. No step has to be repeated for that.
func TestRollbackFromADedicatedPlaceOfTwo(t *testing.T) {
	t.Parallel()
	w := newWideWorld(t)
	w.dsn, w.ear = pgtest.Database(t), &ear{}
	admin := pgtest.Role(t, pgtest.ServerDSN(t), "CREATEDB CREATEROLE")
	w.reach = func(cfg backends.Config) backends.Config {
		if cfg.Kind == backends.DedicatedPostgres {
			cfg.AdminDSN = admin
		}
		return cfg
	}
	there := []*instance{w.instance(t, nil), w.instance(t, nil)}
	id := there[0].storefront(t, 100)
	l := startLoad(id, routers(there)...)
	m := startTo(t, there[0], id, "dedicated", Options{})
	there[0].waitFor(t, m.ID, Watching)
	scene{l, t}.seenByAll(there)
	trouble := w.ear.next(m.ID)
	ask(t, there[0], m.ID, WantRollback)
	there[0].waitFor(t, m.ID, RolledBack)
	select {
	case <-trouble:
		require.Fail(t, "a step did not work")
	default:
	}
	l.check(t, there[1].router)
}

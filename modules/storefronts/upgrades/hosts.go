package upgrades

import (
	"context"
	"maps"
	"slices"
	"time"

	"smartseller/platform/control"
)

// leaseName names the right to upgrade what every instance reaches, and to end a run. The
// files of each host have one of their own, since an instance there alone reaches them.
const leaseName = "schema upgrade"

// hold takes or renews the leases of what this instance reaches, and returns by host those
// that it has. That of its host says also that somebody is there.
func (u *Upgrader) hold(ctx context.Context, hosts map[string]string) (map[string]*control.Lease, error) {
	return u.leases.Hold(ctx, append(slices.Collect(maps.Values(hosts)), ""))
}

// awaits is the cause of places that wait for a server on their host.
func awaits(host string) string {
	return "It lives on host " + host + ": start a server there, of this version."
}

// meet notes since when this instance knows of the run under way (nil: there is none).
func (u *Upgrader) meet(run *Run) {
	switch {
	case run == nil:
		u.met = ""
	case u.met != run.ID:
		u.met, u.since = run.ID, time.Now()
	}
}

// deserted says of each host whether no instance upgrades anything there. At first each gets
// some time to come.
func (u *Upgrader) deserted(tx control.Tx, hosts map[string]string) (map[string]bool, error) {
	out, early := map[string]bool{}, time.Since(u.since) < u.notice
	for _, host := range hosts {
		if _, known := out[host]; known {
			continue
		}
		taken, err := u.leases.Of(host).Taken(tx)
		if err != nil {
			return nil, err
		}
		out[host] = !taken && !early
	}
	return out, nil
}

// task is a place whose turn it is, and the lease under which it is upgraded.
type task struct {
	Place
	lease *control.Lease
}

// tasks are the places whose turn it is and that this instance may upgrade. Places of
// hosts where nobody works hold up no wave.
func (u *Upgrader) tasks(ctx context.Context, run *Run, hosts map[string]string, held map[string]*control.Lease) (out []task, err error) {
	err = u.service.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out = nil
		empty, err := u.deserted(tx, hosts)
		if err != nil {
			return err
		}
		var away []string
		for backend, host := range hosts {
			if empty[host] {
				away = append(away, backend)
			}
		}
		turn, err := readTurn(tx, run.ID, away)
		for _, t := range turn {
			if lease := held[hosts[t.On]]; lease != nil {
				out = append(out, task{t.Place, lease})
			}
		}
		return err
	})
	return out, err
}

// tell lets places that wait for a server on their host say so, and those of a host that
// has one say it no more.
func (u *Upgrader) tell(ctx context.Context, lease *control.Lease, run *Run, hosts map[string]string) (told bool, err error) {
	var wrong []Place
	err = u.service.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		wrong, err = u.mistold(tx, run, hosts)
		return err
	})
	if err != nil || len(wrong) == 0 {
		return false, err
	}
	return true, u.update(ctx, lease, run, func(tx control.Tx, r *Run) error {
		if r.State != Running {
			return errNotNow
		}
		wrong, err := u.mistold(tx, r, hosts) // now that nobody else writes what became of a place
		for _, p := range wrong {
			if err := setCause(tx, r, p); err != nil {
				return err
			}
		}
		return err
	})
}

// mistold reads some of the places whose cause is to be another, with that one.
func (u *Upgrader) mistold(tx control.Tx, run *Run, hosts map[string]string) (out []Place, err error) {
	empty, err := u.deserted(tx, hosts)
	if err != nil {
		return nil, err
	}
	for host, deserted := range empty {
		var on []string
		for backend, at := range hosts {
			if at == host {
				on = append(on, backend)
			}
		}
		found, err := readMistold(tx, run.ID, on, awaits(host), deserted)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if p.Cause = ""; deserted {
				p.Cause = awaits(host)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"smartseller/modules/migration/history"
)

const (
	// rivalsTurn is how many turns of a worker there are to one of its rival.
	rivalsTurn = 4
	// thought is the longest time that a rival takes between reading and writing, in
	// which others write.
	thought = 100 * time.Millisecond

	rivalled = "the profile of rivals"
)

// rival is one of the sessions of one account, one for each worker, all of which write
// its profile, each where it was last seen to be. No one of them knows what it must see:
// what all of them asked and were told is judged as a whole, once nobody acts.
type rival struct {
	*customer
	number int
}

// bringRivals registers the account and lets a rival for each worker in.
func (l *Load) bringRivals(ctx context.Context, email string) error {
	first := newCustomer(l, email)
	if err := first.register(ctx); err != nil {
		return err
	}
	l.beginRivalry(canonical(profile{}))
	for n, w := range l.workers {
		w.rival = &rival{newCustomer(l, email), n}
		w.rival.id = first.id
		if err := w.rival.login(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beginRivalry begins a history anew, with the profile as it is.
func (l *Load) beginRivalry(value string) {
	l.rivalry = &history.History{}
	o := l.rivalry.Begin(0, rivalled)
	o.Wrote(value)
	o.Done()
}

// act reads the profile, and every other time replaces what it read after a while.
// Whatever comes of it is in the journal and the history.
func (r *rival) act(ctx context.Context) {
	if r.session.aged(r.came) && r.refresh(ctx) != nil {
		return
	}
	saw, version, err := r.see(ctx)
	if err == nil && rand.N(2) == 0 {
		<-time.After(rand.N(thought))
		_, _ = r.replace(ctx, saw, version)
	}
}

func (r *rival) see(ctx context.Context) (value, version string, err error) {
	o := r.load.rivalry.Begin(r.number, rivalled)
	if value, version, err = r.getProfile(ctx); err != nil {
		o.Unknown()
		return "", "", err
	}
	o.Saw(value)
	o.Done()
	return value, version, nil
}

// replace writes where the profile is still as it was read; done is false when somebody
// else was first.
func (r *rival) replace(ctx context.Context, saw, version string) (done bool, err error) {
	next := profile{FirstName: fmt.Sprintf("Rival %d", r.number), LastName: fmt.Sprintf("Write %d", r.load.rivalWrites.Add(1)), Locale: "de-AT"}
	o := r.load.rivalry.Begin(r.number, rivalled)
	o.Saw(saw)
	o.Wrote(canonical(next))
	status, now, err := r.putProfile(ctx, version, next, http.StatusOK, http.StatusPreconditionFailed)
	switch {
	case err != nil:
		o.Unknown()
		return false, err
	case status == http.StatusPreconditionFailed:
		o.Refused()
		return false, r.expect(now != version, "a write of version %s was refused, which is the version", version)
	}
	o.Done()
	return true, nil
}

// judgeRivals wants an order of all that they did in which each saw what the ones before
// had made of the profile, and begins a new history. What is wrong goes to the journal.
func (l *Load) judgeRivals(ctx context.Context) {
	r := l.workers[0].rival
	var now string
	var err error
	if !l.patiently(ctx, func() bool {
		now, err = r.conclude(ctx)
		return err == nil || !errors.Is(err, errNoAnswer)
	}) {
		l.journal.checked(r.email + ": the server does not answer")
		return
	}
	failure := ""
	if err = errors.Join(err, l.rivalry.Check()); err != nil {
		failure = "rivals: " + err.Error()
	}
	l.journal.checked(failure)
	l.beginRivalry(now)
}

// conclude ends a history with a write, behind which nothing that was asked before can
// still come about, and says what the profile is then.
func (r *rival) conclude(ctx context.Context) (value string, err error) {
	const tries = 10 // what was asked before may come about in between
	for range tries {
		saw, version, err := r.see(ctx)
		if err != nil {
			return "", err
		}
		done, err := r.replace(ctx, saw, version)
		if err != nil {
			return "", err
		}
		if done {
			value, _, err = r.see(ctx)
			return value, err
		}
	}
	return "", errors.New("the profile changes with nobody asking")
}

package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// servers are all that there are.
func (j *journey) servers() []*program {
	if j.pair {
		return []*program{j.first, j.second}
	}
	return []*program{j.first}
}

// serving says whom the load is to ask from now on.
func (j *journey) serving(servers ...*program) { j.inService.Store(&servers) }

// turnTo waits for the answers that are owed, and has the load ask these from then on;
// none: it rests. Whoever stands still would owe answers for as long.
func (j *journey) turnTo(servers ...*program) {
	j.load.Stop()
	j.survivor().contract.client().CloseIdleConnections() // whose time would be over when one goes on
	j.serving(servers...)
	if len(servers) > 0 {
		j.load.Start(context.Background())
	}
}

// server is whom the load asks next.
func (j *journey) server() string {
	servers := *j.inService.Load()
	return servers[rand.N(len(servers))].url()
}

// written waits until every server in service has acknowledged some writes more.
func (j *journey) written() {
	const each = 3
	begin := time.Now()
	require.Eventually(j.t, func() bool {
		r := j.load.Since(begin)
		return r.Failures > 0 || !slices.ContainsFunc(*j.inService.Load(), func(p *program) bool { return r.By[p.url()] < each })
	}, patience, glance, "the load does not get on")
}

// alone does something while the second server, if there is one, stands still: whom a
// move that is free goes to is certain then.
func (j *journey) alone(do func()) {
	if j.pair {
		asked := *j.inService.Load()
		j.turnTo(slices.DeleteFunc(slices.Clone(asked), func(p *program) bool { return p == j.second })...)
		j.signal(j.second, syscall.SIGSTOP)
		defer func() {
			j.signal(j.second, syscall.SIGCONT)
			j.turnTo(asked...)
		}()
	}
	do()
}

// requireAnswers wants every request to have got one, unless its server was dead. That
// one has died is noticed a little later than its clients notice it.
func (j *journey) requireAnswers() {
	const later = time.Second
	for _, r := range j.load.Records() {
		if r.Status != 0 {
			continue
		}
		asked := j.servers()[slices.IndexFunc(j.servers(), func(p *program) bool { return p.url() == r.Server })]
		require.True(j.t, slices.ContainsFunc(asked.outages, func(o outage) bool {
			return r.Start.Before(o.to) && r.Start.Add(r.Took).After(o.from.Add(-later))
		}), "%s at %s got no answer, with the server up: %v", r.Kind, r.Start, asked.outages)
	}
}

package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// die takes the move to a death and returns the move's id, with the server dead.
func (j *journey) die(d death, move string, early bool) string {
	if d.asked == "rollback" || d.asked == "finalize" { // the point may lie on the way to the cutover as well
		j.revive()
		if move == "" {
			move = j.start()
		}
		j.ask(move, "cutover")
		j.survivor().waitFor(j.t, move, "watching")
	}
	if d.stopped {
		j.revive()
		j.turnTo(j.second)
	}
	if d.point != anyMoment {
		j.first.arm(j.t, map[bool]string{true: "stop "}[d.stopped]+d.point)
	}
	j.revive()
	if move == "" {
		move = j.start()
	}
	j.ask(move, d.asked)
	if d.bystander {
		j.loseBystander()
		return move
	}
	if d.point == anyMoment {
		<-time.After(rand.N(firstMoments)) // not waited for: drawn by lot
		j.signal(j.first, map[bool]syscall.Signal{true: syscall.SIGSTOP, false: syscall.SIGKILL}[d.stopped])
	}
	if d.point != anyMoment && !j.comes(move, d) {
		j.overtaken = true
		j.first.arm(j.t, "")
		if stopped(j.first) { // it came late
			j.wake()
		}
		j.serving(j.servers()...)
		if j.first.dead() { // it came late
			require.False(j.t, d.stopped, "it ended by itself: %s", &j.first.log)
			j.first.diesAt(j.t, d.point)
			j.revive()
		}
		return move
	}
	if d.stopped {
		j.stand(move, early || j.mayLock(d))
		return move
	}
	j.first.diesAt(j.t, d.point)
	j.serving(j.survivor())
	return move
}

// loseBystander kills the server that does not run the move, at one of its first moments, and starts
// it again: it must learn from nothing but the databases where the storefront is.
func (j *journey) loseBystander() {
	<-time.After(rand.N(firstMoments)) // not waited for: drawn by lot
	j.signal(j.second, syscall.SIGKILL)
	<-j.second.ended
	j.serving(j.first)
	j.written()
	j.second.launch(j.t)
	j.second.answers(j.t)
	j.serving(j.servers()...)
}

// comes waits until the first server has come to the point; false: the other one has taken the
// move over before.
func (j *journey) comes(move string, d death) (came bool) {
	there := j.first.dead
	if d.stopped {
		there = func() bool { return stopped(j.first) }
	}
	require.Eventually(j.t, func() bool {
		overtaken := j.pair && j.generationOf(move) > j.generation
		came = there() // asked last, since a takeover follows a death as well
		return came || overtaken
	}, patience, glance, "the point was not reached: %s", &j.first.log)
	return came
}

// mayLock says that whoever stands still at a point of one table may be amidst a change of
// another one, which is copied beside it: a file stays locked then until it goes on.
func (j *journey) mayLock(d death) bool {
	aside := slices.Contains([]string{"K3", "K4", "K5", "loaded"}, d.point)
	return aside && (j.from == "files" || j.to == "files")
}

// stand waits until the first server stands still and the second one has taken the
// move over, and lets the first one go on: early, while the second one works, or once
// the move has ended (see check).
func (j *journey) stand(move string, early bool) {
	require.Eventually(j.t, func() bool { return stopped(j.first) }, patience, glance, "the point was not reached: %s", &j.first.log)
	j.claimed(move, j.generation)
	if early {
		j.wake()
	}
}

// wake lets the first server go on, which is asked again at once: it believes of the
// placement what it believed when it was stopped.
func (j *journey) wake() {
	j.signal(j.first, syscall.SIGCONT)
	j.serving(j.servers()...)
}

// stopped says that a process stands still.
func stopped(p *program) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.process.Process.Pid), "stat"))
	_, state, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	return err == nil && strings.HasPrefix(state, "T")
}

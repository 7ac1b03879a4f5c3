package load

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Kind is what a request wants.
type Kind string

// The kinds of requests.
const (
	Register     Kind = "register"
	Login        Kind = "login"
	Refresh      Kind = "refresh"
	Logout       Kind = "logout"
	ReadProfile  Kind = "read profile"
	WriteProfile Kind = "write profile"

	ListAddresses Kind = "list addresses"
	ReadAddress   Kind = "read address"
	AddAddress    Kind = "add address"
	ChangeAddress Kind = "change address"
	DeleteAddress Kind = "delete address"

	ListProducts Kind = "list products"
	PlaceOrder   Kind = "place order"
	ListOrders   Kind = "list orders"
	ReadOrder    Kind = "read order"
)

// reading kinds change nothing.
var reading = map[Kind]bool{
	ReadProfile: true, ListAddresses: true, ReadAddress: true, ListProducts: true, ListOrders: true, ReadOrder: true,
}

// Reads says that a request of this kind changes nothing.
func (k Kind) Reads() bool { return reading[k] }

// Record is one request and its answer.
type Record struct {
	Kind     Kind
	Server   string // that was asked, by its URL
	Customer string // the e-mail address
	Object   string // what was read or written, such as "profile"
	Value    string // what it was written to, or read as; "" when it does not exist
	Status   int    // 0: no answer
	Start    time.Time
	Took     time.Duration
	Failure  string // what is wrong with the answer
}

// written says that the request changed something and was told so.
func (r *Record) written() bool { return !r.Kind.Reads() && r.Status >= 200 && r.Status < 300 }

// journal is all that happened. Safe for concurrent use.
type journal struct {
	mu      sync.Mutex
	records []Record
	checks  []check
}

// check is one comparison of what is there with what must be.
type check struct {
	at      time.Time
	failure string
}

func (j *journal) add(r Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r)
}

// checked notes a comparison; a failure of "" means that it held.
func (j *journal) checked(failure string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.checks = append(j.checks, check{time.Now(), failure})
}

func (j *journal) failures() []string {
	r := j.report(time.Time{}, time.Now())
	return r.Failed
}

// Timing is how one kind of request fared.
type Timing struct {
	Requests int
	Median   time.Duration
	Longest  time.Duration
}

// Report sums up a stretch of time.
type Report struct {
	Requests   int
	Unanswered int            // only where restarts are expected
	Writes     int            // that were acknowledged
	By         map[string]int // of these, by the server that acknowledged
	Refusals   int            // for a good reason: out of stock
	Verified   int            // comparisons of what is there with what was acknowledged, all of which held
	Failures   int
	Failed     []string // the failures in words
	Kinds      map[Kind]Timing
}

// Longest is the longest time that any request took.
func (r Report) Longest() (longest time.Duration) {
	for _, t := range r.Kinds {
		longest = max(longest, t.Longest)
	}
	return longest
}

// Records returns every request so far.
func (l *Load) Records() []Record {
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	return slices.Clone(l.journal.records)
}

// Report sums up everything so far.
func (l *Load) Report() Report { return l.journal.report(time.Time{}, time.Now()) }

// Since sums up what ended after a time.
func (l *Load) Since(begin time.Time) Report { return l.journal.report(begin, time.Now()) }

// recent are the records of what ended after a time, and some from before: they come in as they
// end, or a little later.
func (j *journal) recent(begin time.Time) []Record {
	const later = time.Second
	first := len(j.records)
	for first > 0 && !j.records[first-1].Start.Add(j.records[first-1].Took).Before(begin.Add(-later)) {
		first--
	}
	return j.records[first:]
}

func (j *journal) report(begin, end time.Time) Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := Report{By: map[string]int{}, Kinds: map[Kind]Timing{}}
	took := map[Kind][]time.Duration{}
	for _, r := range j.recent(begin) {
		if ended := r.Start.Add(r.Took); ended.Before(begin) || ended.After(end) {
			continue
		}
		out.Requests++
		took[r.Kind] = append(took[r.Kind], r.Took)
		switch {
		case r.Failure != "":
			out.Failed = append(out.Failed, fmt.Sprintf("%s of %s, asked of %s at %s for %s: %s",
				r.Kind, r.Customer, r.Server, r.Start.UTC().Format(time.TimeOnly+".000"), r.Took.Round(time.Millisecond), r.Failure))
		case r.Status == 0:
			out.Unanswered++
		case r.Kind == PlaceOrder && r.Status == http.StatusConflict:
			out.Refusals++
		case r.written():
			out.Writes++
			out.By[r.Server]++
		}
	}
	first := len(j.checks) // in the order of time
	for first > 0 && !j.checks[first-1].at.Before(begin) {
		first--
	}
	for _, c := range j.checks[first:] {
		switch {
		case c.at.After(end):
		case c.failure == "":
			out.Verified++
		default:
			out.Failed = append(out.Failed, c.failure)
		}
	}
	for kind, all := range took {
		slices.Sort(all)
		out.Kinds[kind] = Timing{Requests: len(all), Median: all[len(all)/2], Longest: all[len(all)-1]}
	}
	out.Failures = len(out.Failed)
	return out
}

// fact is what the journal knows of one thing.
type fact struct {
	known string   // as acknowledged last; "" when it does not exist
	maybe []string // written since by requests whose outcome is unknown
}

// acknowledge notes a write that was answered: older ones cannot come back.
func (f *fact) acknowledge(value string) { *f = fact{known: value} }

// doubt notes a write whose answer was lost.
func (f *fact) doubt(value string) { f.maybe = append(f.maybe, value) }

// observe compares a read with what may be there. From then on it is certain.
func (f *fact) observe(value string) bool {
	possible := value == f.known || slices.Contains(f.maybe, value)
	*f = fact{known: value}
	return possible
}

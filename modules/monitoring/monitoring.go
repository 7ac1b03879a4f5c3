// Package monitoring says how this instance is: whether it is alive, whether it
// welcomes requests, and in numbers how it fares. Nothing that it says names a
// storefront or a person: the numbers' labels are routes, backends and phases.
package monitoring

import (
	"time"

	"smartseller/platform/fault"
)

// Check is one thing that must hold before requests are welcome.
type Check struct {
	Name    string
	Problem string // what does not hold and what to do; "" when it holds
}

// The checks' names.
const (
	checkServing    = "serving"
	checkControl    = "control_database"
	checkMigrations = "migrations"
)

const (
	// patience bounds how long the control database may take to answer.
	patience = 2 * time.Second
	// fresh is how long an answer of the control database is good, so that whoever
	// asks often does not become a load.
	fresh = time.Second
)

// notReady names every check that does not hold; nil when all do.
func notReady(checks []Check) error {
	e := fault.New(fault.Unavailable, "not_ready", "This instance does not welcome requests now; see errors. Ask another one.").Retry(1)
	for _, c := range checks {
		if c.Problem != "" {
			e.Fields = append(e.Fields, fault.Field{Check: c.Name, Code: "not_ready", Detail: c.Problem})
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

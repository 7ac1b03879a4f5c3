package planning

import "time"

// CountWithin is for tests that do not wait for as long as a storefront may take.
func (g *Gatherer) CountWithin(within time.Duration) { g.within = within }

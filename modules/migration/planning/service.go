package planning

import (
	"context"
	"sync"

	"smartseller/backends"
	"smartseller/platform/clock"
	"smartseller/platform/control"
)

// Service is what operators ask of the planner. Safe for concurrent use; any instance
// answers for all.
type Service struct {
	db         *control.DB
	directory  *backends.Directory
	clock      clock.Clock // that windows and blackouts go by, as the scheduler's
	simulating sync.Mutex
}

// NewService makes the service.
func NewService(db *control.DB, directory *backends.Directory) *Service {
	return &Service{db: db, directory: directory, clock: clock.System}
}

// Statistics reads what is known of up to limit storefronts, by id, after the one
// with the id after.
func (s *Service) Statistics(ctx context.Context, after string, limit int) (out []*Statistics, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = readStatistics(tx, after, int64(limit))
		return err
	})
	return out, err
}

// StatisticsOf reads what is known of one storefront, by id or slug.
func (s *Service) StatisticsOf(ctx context.Context, ref string) (out *Statistics, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = findStatistics(tx, ref)
		return err
	})
	return out, err
}

// Propose says what a policy, in YAML, wants of the fleet as it is now. It changes
// nothing; an error of the policy names the line and the key.
func (s *Service) Propose(ctx context.Context, policy string) (v Verdict, err error) {
	words, err := s.vocabulary(ctx)
	if err != nil {
		return v, err
	}
	p, err := ParsePolicy(policy, words)
	if err != nil {
		return v, err
	}
	fleet, now, err := s.fleet(ctx, p.Tables())
	if err != nil {
		return v, err
	}
	return Evaluate(fleet, words, p, now), nil
}

// vocabulary is what a policy may name here, and what is known of backends.
func (s *Service) vocabulary(ctx context.Context) (v Vocabulary, err error) {
	for _, t := range s.directory.Catalog().Moving() {
		v.Tables = append(v.Tables, t.Name)
	}
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if v.Backends, err = backends.ReadKinds(tx); err != nil {
			return err
		}
		if v.Hosts, err = s.directory.Hosts(tx); err != nil {
			return err
		}
		if v.Holds, err = backends.ReadCapacities(tx); err != nil {
			return err
		}
		v.Busiest, err = readBusiest(tx)
		return err
	})
	return v, err
}

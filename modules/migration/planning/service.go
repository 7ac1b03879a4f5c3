package planning

import (
	"context"

	"smartseller/platform/control"
)

// Service is what operators ask of the planner. Safe for concurrent use; any instance
// answers for all.
type Service struct {
	db *control.DB
}

// NewService makes the service.
func NewService(db *control.DB) *Service { return &Service{db: db} }

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

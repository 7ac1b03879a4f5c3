package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"smartseller/backends"
)

// Get implements backends.Store.
func (s *Store) Get(ctx context.Context, epoch int64, dst any, st *backends.Statement, args ...any) error {
	if dialect, ok := s.dialect.(OneTrip); ok && dialect.Capable() {
		err := s.retry(ctx, func() (error, bool) {
			err := s.classify(ctx, s.get(ctx, dialect, epoch, dst, st, args))
			return err, Retryable(err)
		})
		if !errors.Is(err, ErrEnterFirst) {
			return err
		}
	}
	return s.View(ctx, epoch, func(_ context.Context, tx backends.Tx) error { return tx.Get(dst, st, args...) })
}

func (s *Store) get(ctx context.Context, dialect OneTrip, epoch int64, dst any, st *backends.Statement, args []any) error {
	if st.Kind != backends.ReadStatement {
		return fmt.Errorf("%s: %w", st.Site, backends.ErrReadOnly)
	}
	st, args, err := st.ForLists(args)
	if err != nil {
		return err
	}
	bound, err := bind(string(s.place.Storefront), args)
	if err != nil {
		return fmt.Errorf("%s: %w", st.Site, err)
	}
	giveBack, err := s.lanes.Read.take(ctx, ask{verb: "Get", wait: s.timeout})
	if err != nil {
		return s.noTurn(ctx, err)
	}
	defer giveBack()
	rows, err := dialect.Read(ctx, st, bound)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	found, err := enterByRow(rows, len(columns), epoch)
	if err != nil {
		return err
	}
	if !found {
		return sql.ErrNoRows
	}
	into, err := newScanner(dst, columns[:len(columns)-fenceColumns], []any{ignored{}, ignored{}, ignored{}})
	if err != nil {
		return err
	}
	if err := into.scan(rows); err != nil {
		return err
	}
	if rows.Next() {
		return fmt.Errorf("%s: more than one row where one was expected", st.Site)
	}
	return rows.Err()
}

// fenceColumns is how many columns a OneTrip's rows have behind the statement's own.
const fenceColumns = 3

// enterByRow goes to the first row, and refuses what its fence refuses. found says
// that it is one of the statement's.
func enterByRow(rows *sql.Rows, columns int, epoch int64) (found bool, err error) {
	fence := backends.Refused{State: backends.Absent}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return false, err
		}
		return false, &fence
	}
	var present *bool
	into := make([]any, columns)
	for i := range into {
		into[i] = ignored{}
	}
	copy(into[columns-fenceColumns:], []any{&present, &fence.Epoch, &fence.State})
	if err := rows.Scan(into...); err != nil {
		return false, err
	}
	if fence.Epoch != epoch || fence.State != backends.Active && fence.State != backends.Sealed {
		return false, &fence
	}
	return present != nil, nil
}

// ignored takes any column and keeps nothing.
type ignored struct{}

// Scan implements sql.Scanner.
func (ignored) Scan(any) error { return nil }

package postgres

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"

	"github.com/lib/pq"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
)

// Classify implements sqlstore.Dialect.
func (d *Dialect) Classify(err error) error {
	var p *pq.Error
	if d.Alone && errors.As(err, &p) && p.Code == "42P01" && !classified(err) {
		// No such table in a database of its own: whoever made that died before its schema.
		return fmt.Errorf("%w: %w", backends.ErrNoPlace, err)
	}
	return classify(err)
}

// shardSuffix is what a distributed Postgres puts behind a constraint's name.
var shardSuffix = regexp.MustCompile(`_[0-9]{5,}$`)

func classify(err error) error {
	if err == nil || classified(err) {
		return err
	}
	var p *pq.Error
	if !errors.As(err, &p) {
		if lost(err) {
			return sqlstore.Again(fmt.Errorf("%w: %w", backends.ErrUnreachable, err))
		}
		return err
	}
	if database.Stale(p) {
		return sqlstore.Again(err)
	}
	switch p.Code {
	case "23505":
		return fmt.Errorf("%w: %w", &backends.UniqueError{
			Table: shardSuffix.ReplaceAllString(p.Table, ""), Key: shardSuffix.ReplaceAllString(p.Constraint, ""),
		}, err)
	case "SS001":
		return refused(p)
	case "40001", "40P01": // serialization failure, deadlock
		return sqlstore.Again(err)
	case "55P03", "57014": // lock timeout, statement timeout
		return sqlstore.ErrContended.Because(err)
	case "53300": // others have all of the server's connections
		return sqlstore.Again(sqlstore.ErrContended.Because(err))
	case "25006": // the server takes no writes at the moment: a standby, or its disk is full
		return fmt.Errorf("%w: %w", backends.ErrUnreachable, err)
	case "53100":
		return sqlstore.Again(fmt.Errorf("%w: %w", backends.ErrFull, err))
	case "XX001", "XX002": // a page of a table or an index that cannot be read
		return fmt.Errorf("%w: %w", backends.ErrDamaged, err)
	case "3D000":
		return fmt.Errorf("%w: %w", backends.ErrNoPlace, err)
	}
	switch p.Code.Class() {
	case "08", "57", "53", "28": // connection, shutdown, resources, login
		return sqlstore.Again(fmt.Errorf("%w: %w", backends.ErrUnreachable, err))
	}
	return err
}

func classified(err error) bool {
	var r *backends.Refused
	return sqlstore.Retryable(err) || errors.As(err, &r) || errors.Is(err, backends.ErrUnique) ||
		errors.Is(err, backends.ErrUnreachable) || errors.Is(err, backends.ErrNoPlace) || errors.Is(err, sqlstore.ErrContended)
}

func lost(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func refused(p *pq.Error) error {
	r := &backends.Refused{}
	if _, err := fmt.Sscanf(p.Detail, "%s %d", &r.State, &r.Epoch); err != nil {
		return fmt.Errorf("the fence's refusal is not understood: %w", p)
	}
	return r
}

// ClassifyCommit implements sqlstore.Dialect. Only a server that refuses what goes before
// COMMIT, or answers with a conflict, a violated constraint or "in failed transaction" has said that
// nothing was committed.
func (d *Dialect) ClassifyCommit(err error) error {
	var p *pq.Error
	if errors.Is(err, pq.ErrInFailedTransaction) {
		return err
	}
	if errors.Is(err, database.ErrBeforeCommit) {
		return d.Classify(err)
	}
	if errors.As(err, &p) && (p.Code.Class() == "40" || p.Code.Class() == "23") {
		return classify(err)
	}
	return fmt.Errorf("%w: %w", backends.ErrCommitUnknown, err)
}

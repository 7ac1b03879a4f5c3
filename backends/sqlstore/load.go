package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"smartseller/backends"
)

// BeginLoad implements backends.Store.
func (s *Store) BeginLoad(ctx context.Context, token backends.Token) error {
	if len(s.pools) == 0 { // places share the tables
		return nil
	}
	return s.guarded(ctx, "BeginLoad", token, 0, func(m *mover, f backends.Fence) error {
		if f.State != backends.Loading {
			return fmt.Errorf("%w: a load begins at a fence that is %s", backends.ErrTransition, f.State)
		}
		return m.deferIndexes()
	})
}

// deferIndexes drops the indexes of the tables that move, and notes what they were.
func (m *mover) deferIndexes() error {
	var found []backends.Row
	err := m.each(m.store.dialect.Indexes(), nil, func(rows *sql.Rows) error {
		var name, table, statement string
		err := rows.Scan(&name, &table, &statement)
		if t := m.store.catalog.Table(table); t != nil && t.Class == backends.Moves {
			found = append(found, backends.Row{name, table, statement})
		}
		return err
	})
	if err != nil {
		return err
	}
	page, err := backends.PageOf(backends.DeferredTable, found...)
	if err != nil {
		return err
	}
	if err := m.insert(page); err != nil {
		return err
	}
	for _, row := range found {
		if _, err := m.tx.ExecContext(m.ctx, `DROP INDEX "`+row.Key()+`"`); err != nil {
			return err
		}
	}
	return nil
}

// EndLoad implements backends.Store.
func (s *Store) EndLoad(ctx context.Context, token backends.Token, t *backends.Table) error {
	return s.guarded(ctx, "EndLoad", token, 0, func(m *mover, _ backends.Fence) error {
		if err := m.makeIndexes(t); err != nil {
			return err
		}
		var rows int64
		// Written once more: a file's transaction that changed nothing would not wait for the disk.
		found, err := m.one(`UPDATE move_progress SET copied = copied WHERE storefront_id = $1 AND id = $2 RETURNING copied`, []any{t.Name}, &rows)
		if err != nil || !found {
			return err
		}
		return s.dialect.Loaded(ctx, m.tx, t, rows)
	})
}

// makeIndexes makes the deferred indexes of a table, or (nil) of all.
func (m *mover) makeIndexes(t *backends.Table) error {
	var deferred []backends.Row
	read := newRowReader(backends.DeferredTable)
	err := m.each(selectText(backends.DeferredTable)+` ORDER BY id`, nil, func(rows *sql.Rows) error {
		row, err := read.row(rows)
		if err == nil && (t == nil || row[1] == t.Name) {
			deferred = append(deferred, row)
		}
		return err
	})
	if err != nil || len(deferred) == 0 {
		return err
	}
	made := make([]string, len(deferred))
	for i, row := range deferred {
		if err := m.store.dialect.MakeIndex(m.ctx, m.tx, row[2].(string)); err != nil {
			return fmt.Errorf("make the index %s: %w", row.Key(), m.failed(err))
		}
		made[i] = row.Key()
	}
	return m.remove(backends.DeferredTable, made)
}

var errIndexes = errors.New("an index that was given up for the load has not been made again")

// checkIndexes holds a place back that lacks an index: two rows could share a unique key.
func (m *mover) checkIndexes() error {
	var name string
	missing, err := m.one(`SELECT id FROM deferred_indexes WHERE storefront_id = $1 LIMIT 1`, nil, &name)
	if err == nil && missing {
		err = fmt.Errorf("%w: %w: %s", backends.ErrTransition, errIndexes, name)
	}
	return err
}

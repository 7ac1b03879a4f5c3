package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"smartseller/backends"
)

// Load implements backends.Store. A chunk that is lost takes its progress with it, and
// EndLoad, or the first changed row that is applied behind it, makes it last.
func (s *Store) Load(ctx context.Context, token backends.Token, page *backends.Page, p backends.Progress) error {
	if err := checkPage(page); err != nil {
		return err
	}
	return s.changeIn(ctx, "Load", Fill, 0, func(m *mover) error {
		return m.guard(token, func(m *mover, _ backends.Fence) error {
			if err := m.setProgress(p); err != nil { // first: a page whose answer was lost is there already
				return err
			}
			return m.insert(page)
		})
	})
}

// Apply implements backends.Store.
func (s *Store) Apply(ctx context.Context, token backends.Token, b backends.Batch) error {
	c, err := s.plan(b)
	if err != nil {
		return err
	}
	err = s.guarded(ctx, "Apply", token, 0, func(m *mover, _ backends.Fence) error { return m.apply(c, b) })
	if !errors.Is(err, backends.ErrUnique) {
		return err
	}
	holders, reading := s.holders(ctx, c, b)
	switch {
	case reading != nil:
		return reading
	case len(holders) == 0:
		return err // rows of the batch contradict each other: it was not one snapshot
	}
	return &backends.HolderError{Holders: holders}
}

// changes is a batch sorted by table, in the catalog's order: two batches never
// lock rows in opposite orders.
type changes struct {
	tables []*backends.Table
	keys   map[*backends.Table][]string
	rows   map[*backends.Table][]backends.Row
	pages  map[*backends.Table]*backends.Page // of the rows
}

func (s *Store) plan(b backends.Batch) (*changes, error) {
	keys, err := s.group(b.Keys)
	if err != nil {
		return nil, err
	}
	c := &changes{keys: keys, rows: map[*backends.Table][]backends.Row{}, pages: map[*backends.Table]*backends.Page{}}
	listed := make(map[backends.Key]bool, len(b.Keys))
	for _, k := range b.Keys {
		listed[k] = true
	}
	for k, row := range b.Rows {
		t := s.catalog.Table(k.Table)
		if !listed[k] {
			return nil, fmt.Errorf("the batch has a row of %s whose key it does not list", k.Table)
		}
		if row.Key() != k.ID {
			return nil, fmt.Errorf("the batch has a row of %s under another row's key", k.Table)
		}
		c.rows[t] = append(c.rows[t], row)
	}
	for t := range keys {
		c.tables = append(c.tables, t)
		sort.Strings(c.keys[t])
		sort.Slice(c.rows[t], func(i, j int) bool { return c.rows[t][i].Key() < c.rows[t][j].Key() })
		page, err := backends.PageOf(t, c.rows[t]...)
		if err == nil {
			err = checkPage(page)
		}
		if err != nil {
			return nil, err
		}
		c.pages[t] = page
	}
	sort.Slice(c.tables, func(i, j int) bool { return c.tables[i].Name < c.tables[j].Name })
	return c, nil
}

// apply deletes every key before it inserts a row: values that rows of the batch
// exchange among themselves never meet.
func (m *mover) apply(c *changes, b backends.Batch) error {
	for _, t := range c.tables {
		if err := m.remove(t, c.keys[t]); err != nil {
			return err
		}
	}
	for _, t := range c.tables {
		if err := m.insert(c.pages[t]); err != nil {
			return err
		}
	}
	if b.Verify {
		entries, err := backends.PageOf(backends.VerifyTable, entryRows(b.Keys)...)
		if err == nil {
			err = m.insert(entries)
		}
		if err != nil {
			return err
		}
	}
	if b.Progress != nil {
		return m.setProgress(*b.Progress)
	}
	return nil
}

func (m *mover) remove(t *backends.Table, ids []string) error {
	return inLists(ids, func(list string, args []any) error {
		_, err := m.exec(`DELETE FROM `+t.Name+` WHERE storefront_id = $1 AND id IN `+list, args...)
		return err
	})
}

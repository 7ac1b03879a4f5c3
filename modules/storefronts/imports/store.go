package imports

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// lease is how long an import counts as under way after its process was last heard of.
const lease = 10 * time.Second

const importColumns = `id, storefront_id, format, state, files, failure, requested_by, lease_until, created_at, updated_at, ended_at`

type importRow struct {
	ID          string `db:"id"`
	Storefront  string `db:"storefront_id"`
	Format      string `db:"format"`
	State       string `db:"state"`
	Files       string `db:"files"`
	Failure     string `db:"failure"`
	RequestedBy string `db:"requested_by"`
	LeaseUntil  int64  `db:"lease_until"`
	CreatedAt   int64  `db:"created_at"`
	UpdatedAt   int64  `db:"updated_at"`
	EndedAt     *int64 `db:"ended_at"`
}

// opened makes the import of a row. One whose process is gone reads as what it will
// be once the next import begins.
func (r *importRow) opened(now int64) (*Import, error) {
	i := &Import{
		ID: r.ID, Storefront: backends.StorefrontID(r.Storefront), Format: r.Format, State: State(r.State), RequestedBy: r.RequestedBy,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: r.EndedAt,
	}
	if err := json.Unmarshal([]byte(r.Files), &i.Files); err != nil {
		return nil, err
	}
	if r.EndedAt == nil && r.LeaseUntil < now {
		i.State, i.Failure, i.EndedAt = Interrupted, failure(errCutOff), &r.LeaseUntil
		return i, nil
	}
	return i, json.Unmarshal([]byte(r.Failure), &i.Failure)
}

// insertImport begins an import; ErrOpen when another one is under way.
func insertImport(tx control.Tx, i *Import) error {
	if err := endAbandoned(tx, i.Storefront); err != nil {
		return err
	}
	i.CreatedAt, i.UpdatedAt = tx.Now(), tx.Now()
	_, err := tx.Exec(`INSERT INTO imports (`+importColumns+`) VALUES ($1, $2, $3, $4, '[]', 'null', $5, $6, $7, $7, NULL)`,
		i.ID, string(i.Storefront), i.Format, string(i.State), i.RequestedBy, tx.Now()+lease.Microseconds(), tx.Now())
	if errors.Is(err, control.ErrUnique) {
		return ErrOpen.Because(err)
	}
	return err
}

// endAbandoned ends the import into a storefront whose lease has run out.
func endAbandoned(tx control.Tx, storefront backends.StorefrontID) error {
	failure, err := json.Marshal(failure(errCutOff))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE imports SET state = 'interrupted', failure = $1, ended_at = $2 WHERE ended_at IS NULL AND lease_until < $2 AND storefront_id = $3`,
		string(failure), tx.Now(), string(storefront))
	return err
}

// saveImport keeps what is known of an import; errLost when it is not open any more.
func saveImport(tx control.Tx, i *Import) error {
	files, err := json.Marshal(i.Files)
	if err != nil {
		return err
	}
	failure, err := json.Marshal(i.Failure)
	if err != nil {
		return err
	}
	i.UpdatedAt = tx.Now()
	if i.ended() {
		now := tx.Now()
		i.EndedAt = &now
	}
	n, err := tx.Exec(`UPDATE imports SET state = $2, files = $3, failure = $4, lease_until = $5, updated_at = $6, ended_at = $7
		WHERE id = $1 AND ended_at IS NULL`, i.ID, string(i.State), string(files), string(failure), tx.Now()+lease.Microseconds(), tx.Now(), i.EndedAt)
	if err == nil && n == 0 {
		return errLost
	}
	return err
}

func findImport(tx control.Tx, storefront backends.StorefrontID, id string) (*Import, error) {
	var r importRow
	err := tx.Get(&r, `SELECT `+importColumns+` FROM imports WHERE id = $1 AND storefront_id = $2`, id, string(storefront))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoImport
	}
	if err != nil {
		return nil, err
	}
	return r.opened(tx.Now())
}

// listImports reads up to limit imports, newest first, before the id cursor, or the
// newest when that is "".
func listImports(tx control.Tx, storefront backends.StorefrontID, cursor string, limit int) ([]*Import, error) {
	var rows []importRow
	err := tx.Select(&rows, `SELECT `+importColumns+` FROM imports WHERE storefront_id = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3`,
		string(storefront), cursor, int64(limit))
	if err != nil {
		return nil, err
	}
	found := make([]*Import, len(rows))
	for n := range rows {
		if found[n], err = rows[n].opened(tx.Now()); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// omissionsAtOnce are few enough for what either engine binds in one statement.
const omissionsAtOnce = 500

// insertOmissions may be repeated, after a commit whose outcome nobody knows.
func insertOmissions(tx control.Tx, importID string, added []Omission) error {
	for some := range slices.Chunk(added, omissionsAtOnce) {
		rows, args := make([]string, len(some)), []any{importID}
		for i, o := range some {
			n := len(args)
			rows[i] = fmt.Sprintf("($1, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4)
			args = append(args, o.Seq, o.File, o.Line, o.Code)
		}
		if _, err := tx.Exec(`INSERT INTO import_omissions (import_id, seq, file, line, code) VALUES `+strings.Join(rows, ", ")+`
			ON CONFLICT (import_id, seq) DO NOTHING`, args...); err != nil {
			return err
		}
	}
	return nil
}

func listOmissions(tx control.Tx, importID string, after int64, limit int) (found []Omission, err error) {
	err = tx.Select(&found, `SELECT seq, file, line, code FROM import_omissions WHERE import_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		importID, after, int64(limit))
	return found, err
}

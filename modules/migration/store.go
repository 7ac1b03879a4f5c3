package migration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/database"
)

// moveColumns is every column of moves, in the order of moveRow.
const moveColumns = `id, storefront_id, source_backend, source_made_at_epoch, target_backend, target_made_at_epoch, source_epoch,
	phase, resume_phase, cut, intent, gen, owner, lease_until, options, stats, cause, advice, receipt, requested_by, reason,
	created_at, updated_at, ended_at, left_behind, kept, tenant_migrations, source_kept`

type moveRow struct {
	ID            string `db:"id"`
	Storefront    string `db:"storefront_id"`
	SourceBackend string `db:"source_backend"`
	SourceMade    int64  `db:"source_made_at_epoch"`
	TargetBackend string `db:"target_backend"`
	TargetMade    int64  `db:"target_made_at_epoch"`
	SourceEpoch   int64  `db:"source_epoch"`
	Phase         string `db:"phase"`
	ResumePhase   string `db:"resume_phase"`
	Cut           string `db:"cut"`
	Intent        string `db:"intent"`
	Gen           int64  `db:"gen"`
	Owner         string `db:"owner"`
	LeaseUntil    int64  `db:"lease_until"`
	Options       string `db:"options"`
	Stats         string `db:"stats"`
	Cause         string `db:"cause"`
	Advice        string `db:"advice"`
	Receipt       string `db:"receipt"`
	RequestedBy   string `db:"requested_by"`
	Reason        string `db:"reason"`
	CreatedAt     int64  `db:"created_at"`
	UpdatedAt     int64  `db:"updated_at"`
	EndedAt       *int64 `db:"ended_at"`
	LeftBehind    string `db:"left_behind"`
	Kept          string `db:"kept"`
	Migrations    int64  `db:"tenant_migrations"`
	SourceKept    int64  `db:"source_kept"`
}

func (r *moveRow) move() (*Move, error) {
	id := backends.StorefrontID(r.Storefront)
	m := &Move{
		ID: r.ID, Storefront: id,
		Source:      backends.Place{Backend: r.SourceBackend, Storefront: id, Epoch: r.SourceMade},
		Target:      backends.Place{Backend: r.TargetBackend, Storefront: id, Epoch: r.TargetMade},
		SourceEpoch: r.SourceEpoch, Phase: Phase(r.Phase), ResumePhase: Phase(r.ResumePhase), Cut: Cut(r.Cut), Intent: Intent(r.Intent),
		Gen: r.Gen, Owner: r.Owner, LeaseUntil: r.LeaseUntil, Cause: r.Cause, Advice: r.Advice, Receipt: r.Receipt,
		RequestedBy: r.RequestedBy, Reason: r.Reason, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: r.EndedAt, LeftBehind: r.LeftBehind, Kept: Intent(r.Kept), TenantMigrations: r.Migrations,
		SourceKept: r.SourceKept != 0,
	}
	return m, errors.Join(json.Unmarshal([]byte(r.Options), &m.Options), json.Unmarshal([]byte(r.Stats), &m.Stats))
}

func insertMove(tx control.Tx, m *Move) error {
	options, err := json.Marshal(m.Options)
	if err != nil {
		return err
	}
	now := tx.Now()
	last, err := lastGen(tx, m.Storefront)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO moves (`+moveColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', '', $9, '', $14, $10, '{}', '', '', '', $11, $12, $13, $13, NULL, '', '', 0, 0)`,
		m.ID, string(m.Storefront), m.Source.Backend, m.Source.Epoch, m.Target.Backend, m.Target.Epoch, m.SourceEpoch,
		string(m.Phase), last, string(options), m.RequestedBy, m.Reason, now, m.Options.BeginAt)
	if errors.Is(err, control.ErrUnique) {
		return ErrMoveOpen.Because(err)
	}
	return err
}

// noneOpen is ErrMoveOpen while the storefront is being moved.
func noneOpen(tx control.Tx, storefront backends.StorefrontID) error {
	var open int64
	err := tx.Get(&open, `SELECT count(*) FROM moves WHERE storefront_id = $1 AND ended_at IS NULL`, string(storefront))
	if err == nil && open > 0 {
		return ErrMoveOpen
	}
	return err
}

// lastGen is the storefront's greatest fencing number so far: fences keep it, so that
// whoever ran an earlier move comes too late for ever. Its row is locked, since the
// number of a move that has not ended may still grow.
func lastGen(tx control.Tx, storefront backends.StorefrontID) (gen int64, err error) {
	err = tx.GetLocked(&gen, `SELECT gen FROM moves WHERE storefront_id = $1 ORDER BY gen DESC LIMIT 1`, string(storefront))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return gen, err
}

// readMove reads a move; lock holds its row until the transaction ends.
func readMove(tx control.Tx, id string, lock bool) (*Move, error) {
	var r moveRow
	get := tx.Get
	if lock {
		get = tx.GetLocked
	}
	err := get(&r, `SELECT `+moveColumns+` FROM moves WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoMove
	}
	if err != nil {
		return nil, err
	}
	return r.move()
}

// listedRow is a move with its storefront's slug.
type listedRow struct {
	moveRow
	Slug string `db:"slug"`
}

// listMoves reads some moves, newest first, before the one with the id cursor.
func listMoves(tx control.Tx, f Filter, cursor string, limit int64) (rows []listedRow, err error) {
	text, args := f.query(cursor, limit)
	err = tx.Select(&rows, text, args...)
	return rows, err
}

func (f Filter) query(cursor string, limit int64) (text string, args []any) {
	text = `SELECT ` + moveColumns + `, COALESCE((SELECT s.slug FROM storefronts s WHERE s.id = moves.storefront_id), '') AS slug FROM moves WHERE id < $1`
	args = []any{cursor, limit}
	if f.Open {
		text += ` AND ended_at IS NULL`
	}
	if f.Storefront != "" {
		text, args = text+` AND storefront_id = $3`, append(args, string(f.Storefront))
	}
	return text + ` ORDER BY id DESC LIMIT $2`, args
}

// writeMove stores what a transition changed. The row must be locked, and held by
// the fencing number that the caller checked.
func writeMove(tx control.Tx, m *Move) error {
	stats, err := json.Marshal(m.Stats)
	if err != nil {
		return err
	}
	m.UpdatedAt = tx.Now()
	_, err = tx.Exec(`UPDATE moves SET phase = $2, resume_phase = $3, cut = $4, intent = $5, gen = $6, owner = $7, lease_until = $8,
		stats = $9, cause = $10, advice = $11, receipt = $12, updated_at = $13, ended_at = $14, left_behind = $15, kept = $16, tenant_migrations = $17, source_kept = $18 WHERE id = $1`,
		m.ID, string(m.Phase), string(m.ResumePhase), string(m.Cut), string(m.Intent), m.Gen, m.Owner, m.LeaseUntil,
		string(stats), m.Cause, m.Advice, m.Receipt, m.UpdatedAt, m.EndedAt, m.LeftBehind, string(m.Kept), m.TenantMigrations, database.Truth(m.SourceKept))
	return err
}

// addEvent appends to the move's story; the move's row is locked, so the next
// number is free.
func addEvent(tx control.Tx, move, kind string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO move_events (move_id, seq, at, kind, data)
		VALUES ($1, (SELECT COALESCE(max(seq), 0) + 1 FROM move_events WHERE move_id = $1), $2, $3, $4)`, move, tx.Now(), kind, string(text))
	return err
}

// claimable is a move that has no owner and something to do.
type claimable struct {
	ID     string `db:"id"`
	Phase  Phase  `db:"phase"`
	Intent Intent `db:"intent"`
	Source string `db:"source_backend"`
	Target string `db:"target_backend"`
	Stands bool   `db:"stands"` // it is verified, and waits for its cutover
}

// asked is a move of which something is asked.
type asked struct {
	ID     string `db:"id"`
	Intent Intent `db:"intent"`
}

// readAsked finds the moves that an instance runs and something is asked of.
func readAsked(ctx context.Context, db *control.DB, instance string) (all []asked, err error) {
	err = db.View(ctx, func(_ context.Context, tx control.Tx) error {
		all = nil
		return tx.Select(&all, `SELECT id, intent FROM moves WHERE ended_at IS NULL AND owner = $1 AND intent <> ''`, instance)
	})
	return all, err
}

// readFree finds some of the moves that nobody runs, those first for which a storefront
// may be waiting, then those that are told to stop, then those that stand by, behind so many others. Those that a
// newer program watches, or is to begin, are none: see [Runner.tooOldFor].
func readFree(ctx context.Context, db *control.DB, known int64, behind, limit int) (free []claimable, err error) {
	err = db.View(ctx, func(_ context.Context, tx control.Tx) error {
		free = nil
		return tx.Select(&free, `SELECT id, phase, intent, source_backend, target_backend, phase = 'verifying' AND stats LIKE '%"verified_at":%' AS stands
			FROM moves WHERE ended_at IS NULL AND lease_until < $1 AND NOT (phase = 'paused' AND intent = '')
			AND (CAST($4 AS BIGINT) = 0 OR tenant_migrations <= $4 OR NOT (phase = 'watching'
				OR (phase = 'preparing' OR phase = 'paused' AND resume_phase = 'preparing') AND intent NOT IN ('cancel', 'pause', 'yield') AND updated_at > $5))
			ORDER BY CASE WHEN cut <> '' THEN 0 WHEN intent IN ('cancel', 'pause', 'yield') THEN 1 WHEN phase = 'verifying' AND stats LIKE '%"verified_at":%' THEN 2 ELSE 3 END, lease_until, id LIMIT $2 OFFSET $3`, tx.Now(), int64(limit), int64(behind), known, tx.Now()-newerFirst.Microseconds())
	})
	return free, err
}

// readShortestLease is in how long the first lease runs out of a move whose storefront may be
// sealed, at most so long: then it is to be taken over at once.
func readShortestLease(ctx context.Context, db *control.DB, most time.Duration) (in time.Duration, err error) {
	in = most
	err = db.View(ctx, func(_ context.Context, tx control.Tx) error {
		var until int64
		err := tx.Get(&until, `SELECT COALESCE(min(lease_until), 0) FROM moves WHERE ended_at IS NULL AND cut <> '' AND phase IN ('cutting_over', 'rolling_back', 'cancelling') AND lease_until >= $1`, tx.Now())
		if in = most; until > 0 {
			in = min(most, time.Duration(until-tx.Now()+1)*time.Microsecond)
		}
		return err
	})
	return in, err
}

// renewResting renews the leases of moves that an instance watches, or that wait before
// their cutover, and says of which it still has them.
func renewResting(tx control.Tx, instance string, moves []string, lease time.Duration) (renewed []string, err error) {
	marks, args := control.List([]any{instance, tx.Now() + lease.Microseconds()}, moves)
	err = tx.Select(&renewed, `UPDATE moves SET lease_until = $2 WHERE owner = $1 AND (phase = 'watching' OR cut = '') AND ended_at IS NULL
		AND id IN (`+marks+`) RETURNING id`, args...)
	return renewed, err
}

// countOpen counts the open moves in each phase.
func countOpen(ctx context.Context, db *control.DB) (map[Phase]int64, error) {
	var rows []struct {
		Phase string `db:"phase"`
		N     int64  `db:"n"`
	}
	err := db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows = nil
		return tx.Select(&rows, `SELECT phase, count(*) AS n FROM moves WHERE ended_at IS NULL GROUP BY phase`)
	})
	counts := map[Phase]int64{}
	for _, r := range rows {
		counts[Phase(r.Phase)] = r.N
	}
	return counts, err
}

func saveCheckpoint(tx control.Tx, move string, c Checkpoint) error {
	done := 0
	if c.Done {
		done = 1
	}
	_, err := tx.Exec(`INSERT INTO move_checkpoints (move_id, table_name, cursor, through, copied, total, done, updated_at)
		VALUES ($1, $2, '', '', $3, $4, $5, $6) ON CONFLICT (move_id, table_name)
		DO UPDATE SET copied = excluded.copied, total = excluded.total, done = excluded.done, updated_at = excluded.updated_at`,
		move, c.Table, c.Copied, c.Total, done, tx.Now())
	return err
}

func readCheckpoints(tx control.Tx, move string) (out []Checkpoint, err error) {
	err = tx.Select(&out, `SELECT table_name, copied, total, done FROM move_checkpoints WHERE move_id = $1 ORDER BY table_name`, move)
	return out, err
}

// paceBound is the least of what operators allow one move and all of them, in percent.
func paceBound(tx control.Tx, o Options) (int64, error) {
	all, err := paceOfAll(tx)
	if o.PacePercent > 0 {
		all = min(all, o.PacePercent)
	}
	return all, err
}

func paceOfAll(tx control.Tx) (percent int64, err error) {
	err = tx.Get(&percent, `SELECT COALESCE(min(percent), 100) FROM move_pace`)
	return percent, err
}

func setPaceOfAll(tx control.Tx, percent int64) error {
	_, err := tx.Exec(`INSERT INTO move_pace (id, percent) VALUES ('all', $1) ON CONFLICT (id) DO UPDATE SET percent = excluded.percent`, percent)
	return err
}

func writeOptions(tx control.Tx, m *Move) error {
	options, err := json.Marshal(m.Options)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE moves SET options = $2, updated_at = $3 WHERE id = $1`, m.ID, string(options), tx.Now())
	return err
}

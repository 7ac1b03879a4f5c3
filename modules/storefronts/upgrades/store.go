package upgrades

import (
	"database/sql"
	"errors"

	"smartseller/backends"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
	"smartseller/platform/database"
	"smartseller/platform/ids"
)

type runRow struct {
	ID          string `db:"id"`
	State       string `db:"state"`
	Known       int64  `db:"known"`
	Changes     int64  `db:"changes"`
	RequestedBy string `db:"requested_by"`
	CreatedAt   int64  `db:"created_at"`
	EndedAt     *int64 `db:"ended_at"`
}

const runColumns = `id, state, known, changes, requested_by, created_at, ended_at`

func (r *runRow) run() *Run {
	return &Run{ID: r.ID, State: State(r.State), RequestedBy: r.RequestedBy, CreatedAt: r.CreatedAt, EndedAt: r.EndedAt, known: r.Known, Changes: r.Changes}
}

// readRun reads a run; lock holds its row until the transaction ends.
func readRun(tx control.Tx, id string, lock bool) (*Run, error) {
	var r runRow
	get := tx.Get
	if lock {
		get = tx.GetLocked
	}
	err := get(&r, `SELECT `+runColumns+` FROM schema_upgrades WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRun
	}
	return r.run(), err
}

// newest is the run under way, else the one that began last. Ids do not say that: each
// instance makes them by its own clock.
const newest = `(SELECT id FROM schema_upgrades ORDER BY CASE WHEN state = 'running' THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT 1)`

// readNewest reads the newest run, its row locked; nil when there is none yet.
func readNewest(tx control.Tx) (*Run, error) {
	var r runRow
	err := tx.GetLocked(&r, `SELECT `+runColumns+` FROM schema_upgrades WHERE id = `+newest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r.run(), err
}

// readOpen reads the run that is under way; nil when none is.
func readOpen(tx control.Tx) (*Run, error) {
	var r runRow
	err := tx.Get(&r, `SELECT `+runColumns+` FROM schema_upgrades WHERE state = 'running'`)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r.run(), err
}

// readRuns reads runs, newest first, behind the one that cursor names ("": from the newest on).
func readRuns(tx control.Tx, cursor string, limit int64) ([]*Run, error) {
	var rows []runRow
	err := tx.Select(&rows, `SELECT `+runColumns+` FROM schema_upgrades
		WHERE $1 = '' OR (created_at, id) < ((SELECT c.created_at FROM schema_upgrades c WHERE c.id = $1), $1)
		ORDER BY created_at DESC, id DESC LIMIT $2`, cursor, limit)
	out := make([]*Run, len(rows))
	for i := range rows {
		out[i] = rows[i].run()
	}
	return out, err
}

// count fills in how many places of runs are in each state.
func count(tx control.Tx, runs ...*Run) error {
	byID := map[string]*Run{}
	var all []string
	for _, r := range runs {
		r.Places, r.Wave = map[PlaceState]int64{}, -1
		byID[r.ID] = r
		all = append(all, r.ID)
	}
	if len(all) == 0 {
		return nil
	}
	var rows []struct {
		Run   string `db:"run_id"`
		State string `db:"state"`
		N     int64  `db:"n"`
		First int64  `db:"first"`
	}
	marks, args := control.List(nil, all)
	err := tx.Select(&rows, `SELECT run_id, state, count(*) AS n, min(wave) AS first FROM schema_upgrade_places WHERE run_id IN (`+marks+`) GROUP BY run_id, state`, args...)
	for _, r := range rows {
		run := byID[r.Run]
		run.Places[PlaceState(r.State)] = r.N
		if PlaceState(r.State) == Waiting {
			run.Wave = r.First
		}
	}
	return err
}

// begin makes a run of all places. It began behind the run before by more than the control
// database's clock says, should that have been set back.
func begin(tx control.Tx, before *Run, by string, known int64) (*Run, error) {
	r := &Run{ID: ids.New(), State: Running, RequestedBy: by, CreatedAt: tx.Now(), known: known}
	if before != nil {
		r.CreatedAt = max(r.CreatedAt, before.CreatedAt+1)
	}
	_, err := tx.Exec(`INSERT INTO schema_upgrades (id, state, known, changes, requested_by, created_at, updated_at, ended_at)
		VALUES ($1, 'running', $2, 0, $3, $4, $4, NULL)`, r.ID, r.known, r.RequestedBy, r.CreatedAt)
	if err != nil {
		return nil, err
	}
	_, err = enrol(tx, r)
	return r, err
}

// enrol adds every place that the run does not know yet, in waves behind those that it
// has: one of each backend first; then the storefronts' own, a wave after the other; at
// last those that many storefronts share, each a wave of its own, first the one that has the
// fewest: what goes wrong there does not go wrong for all at once. It says how many there were.
func enrol(tx control.Tx, r *Run) (int64, error) {
	const next = `(SELECT COALESCE(max(wave) + 1, 0) FROM schema_upgrade_places WHERE run_id = $1)`
	own, err := tx.Exec(`INSERT INTO schema_upgrade_places (run_id, storefront_id, backend, wave, state, cause, version_before, version, due_at, change, updated_at)
		SELECT $1, storefront_id, backend, `+next+` + CASE WHEN one = 1 THEN 0 ELSE 1 + (turn - 1) / $2 END, 'waiting', '', 0, 0, 0, 0, CAST($3 AS BIGINT)
		FROM (SELECT p.storefront_id, p.backend, row_number() OVER (PARTITION BY p.backend ORDER BY p.storefront_id) AS one,
				row_number() OVER (ORDER BY p.storefront_id) AS turn
			FROM placements p JOIN backends b ON b.name = p.backend
			WHERE b.shared = 0 AND NOT EXISTS (SELECT 1 FROM schema_upgrade_places u WHERE u.run_id = $1 AND u.storefront_id = p.storefront_id)) places`,
		r.ID, int64(waveSize), tx.Now())
	if err != nil {
		return 0, err
	}
	shared, err := tx.Exec(`INSERT INTO schema_upgrade_places (run_id, storefront_id, backend, wave, state, cause, version_before, version, due_at, change, updated_at)
		SELECT $1, '', b.name, `+next+` + row_number() OVER (ORDER BY held.n, b.name) - 1, 'waiting', '', 0, 0, 0, 0, CAST($2 AS BIGINT)
		FROM backends b JOIN (SELECT backend, count(*) AS n FROM placements GROUP BY backend) held ON held.backend = b.name
		WHERE b.shared = 1 AND NOT EXISTS (SELECT 1 FROM schema_upgrade_places u WHERE u.run_id = $1 AND u.storefront_id = '' AND u.backend = b.name)`,
		r.ID, tx.Now())
	return own + shared, err
}

// changed counts a change of a run, whose row is locked.
func changed(tx control.Tx, r *Run) error {
	r.Changes++
	_, err := tx.Exec(`UPDATE schema_upgrades SET changes = $2, updated_at = $3 WHERE id = $1`, r.ID, r.Changes, tx.Now())
	return err
}

// setRun takes a run, whose row is locked, to a state.
func setRun(tx control.Tx, r *Run, to State) error {
	if r.State = to; to == Running {
		r.EndedAt = nil
	} else {
		now := tx.Now()
		r.EndedAt = &now
	}
	if err := changed(tx, r); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE schema_upgrades SET state = $2, known = $3, ended_at = $4 WHERE id = $1`, r.ID, string(to), r.known, r.EndedAt)
	return err
}

// wait lets places of a run, those in one state or ("") all, wait for their turn again.
func wait(tx control.Tx, r *Run, state PlaceState) (int64, error) {
	return tx.Exec(`UPDATE schema_upgrade_places SET state = 'waiting', cause = '', version_before = 0, version = 0, due_at = 0, change = 0, updated_at = $3
		WHERE run_id = $1 AND ($2 = '' OR state = $2)`, r.ID, string(state), tx.Now())
}

// repeatFailed lets the places of the newest run, or of none, that failed have another turn.
func repeatFailed(tx control.Tx, r *Run, known int64) error {
	switch {
	case r == nil:
		return ErrNothingFailed
	case r.State == Cancelled: // what was skipped would be so for good
		return ErrRunCancelled
	}
	n, err := wait(tx, r, Failed)
	if err != nil {
		return err
	}
	if n == 0 && r.State != Running {
		return ErrNothingFailed
	}
	r.known = known
	return setRun(tx, r, Running)
}

// beginAnew takes a run to the schema of a newer program than the one that began it.
func beginAnew(tx control.Tx, r *Run, known int64) error {
	if _, err := wait(tx, r, ""); err != nil {
		return err
	}
	r.known = known
	return setRun(tx, r, Running)
}

func cancel(tx control.Tx, r *Run) error {
	if err := setRun(tx, r, Cancelled); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE schema_upgrade_places SET state = 'skipped', updated_at = $2 WHERE run_id = $1 AND state = 'waiting'`, r.ID, tx.Now())
	return err
}

const placeColumns = `u.run_id, u.storefront_id, u.backend, u.wave, u.state, u.cause, u.version_before, u.version, u.change, u.updated_at`

// placeNow joins to the places u of a run the backend that each is on now.
const placeNow = ` FROM schema_upgrade_places u LEFT JOIN placements p ON p.storefront_id = u.storefront_id `

// turn is a place whose turn it is.
type turn struct {
	Place
	On string `db:"now_on"` // the backend
}

const placeRows = `SELECT ` + placeColumns + `, COALESCE(s.slug, '') AS slug,
	CASE WHEN u.storefront_id = '' THEN (SELECT count(*) FROM placements p WHERE p.backend = u.backend) ELSE 1 END AS holds
	FROM schema_upgrade_places u LEFT JOIN storefronts s ON s.id = u.storefront_id`

// readPlaces reads places of a run by their keys, after one; in one state, or ("") in any.
func readPlaces(tx control.Tx, run string, state PlaceState, after Key, limit int64) (out []Place, err error) {
	err = tx.Select(&out, placeRows+` WHERE u.run_id = $1 AND (u.storefront_id > $2 OR u.storefront_id = $2 AND u.backend > $3) AND ($4 = '' OR u.state = $4)
		ORDER BY u.storefront_id, u.backend LIMIT $5`, run, string(after.Storefront), after.Backend, string(state), limit)
	return out, err
}

// readChanged reads places of a run in the order of their changes, after one.
func readChanged(tx control.Tx, run string, after, limit int64) (out []Place, err error) {
	err = tx.Select(&out, placeRows+` WHERE u.run_id = $1 AND u.change > $2 ORDER BY u.change LIMIT $3`, run, after, limit)
	return out, err
}

// anyWaits says whether any place of a run waits.
func anyWaits(tx control.Tx, r *Run) (bool, error) {
	var n int64
	err := tx.Get(&n, `SELECT count(*) FROM (SELECT 1 FROM schema_upgrade_places WHERE run_id = $1 AND state = 'waiting' LIMIT 1) w`, r.ID)
	return n > 0, err
}

// readTurn reads the places whose turn it is: those of the first wave in which any waits
// that is due and not on a backend that is away.
func readTurn(tx control.Tx, run string, away []string) (out []turn, err error) {
	marks, args := control.List([]any{run, tx.Now()}, append([]string{""}, away...)) // "": a list must not be empty
	here := placeNow + `WHERE u.run_id = $1 AND u.state = 'waiting' AND u.due_at <= $2 AND COALESCE(p.backend, u.backend) NOT IN (` + marks + `)`
	err = tx.Select(&out, `SELECT `+placeColumns+`, COALESCE(p.backend, u.backend) AS now_on`+here+
		` AND u.wave = (SELECT u.wave`+here+` ORDER BY u.wave LIMIT 1) ORDER BY u.storefront_id, u.backend`, args...)
	return out, err
}

// readMistold reads some places that wait on backends and do not say cause though these are
// deserted, or say it though they are not.
func readMistold(tx control.Tx, run string, on []string, cause string, deserted bool) (out []Place, err error) {
	const most = 100
	marks, args := control.List([]any{run, cause, database.Truth(deserted), int64(most)}, on)
	err = tx.Select(&out, `SELECT `+placeColumns+placeNow+`WHERE u.run_id = $1 AND u.state = 'waiting' AND (u.cause = $2) <> ($3 = 1)
		AND COALESCE(p.backend, u.backend) IN (`+marks+`) ORDER BY u.storefront_id, u.backend LIMIT $4`, args...)
	return out, err
}

// setCause writes what a place of a run whose row is locked waits for.
func setCause(tx control.Tx, r *Run, p Place) error {
	if err := changed(tx, r); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE schema_upgrade_places SET cause = $4, change = $5, updated_at = $6 WHERE run_id = $1 AND storefront_id = $2 AND backend = $3`,
		r.ID, string(p.Storefront), p.Backend, p.Cause, r.Changes, tx.Now())
	return err
}

// setPlace writes what became of a place of a run whose row is locked.
func setPlace(tx control.Tx, r *Run, p Place, due int64) error {
	if err := changed(tx, r); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE schema_upgrade_places SET state = $4, cause = $5, version_before = $6, version = $7, due_at = $8, change = $9, updated_at = $10
		WHERE run_id = $1 AND storefront_id = $2 AND backend = $3`,
		r.ID, string(p.Storefront), p.Backend, string(p.State), p.Cause, p.Before, p.Version, due, r.Changes, tx.Now())
	return err
}

// putOff lets a place wait until a time; nothing else has changed.
func putOff(tx control.Tx, p Place, due int64) error {
	_, err := tx.Exec(`UPDATE schema_upgrade_places SET due_at = $4 WHERE run_id = $1 AND storefront_id = $2 AND backend = $3`, p.Run, string(p.Storefront), p.Backend, due)
	return err
}

// readFates reads what the newest run made of the places where storefronts are now.
func readFates(tx control.Tx, shops []storefronts.Storefront) (map[backends.StorefrontID]Fate, error) {
	out := map[backends.StorefrontID]Fate{}
	var all []backends.StorefrontID
	for _, s := range shops {
		all = append(all, s.ID)
	}
	if len(all) == 0 {
		return out, nil
	}
	var rows []struct {
		ID    string `db:"id"`
		State string `db:"state"`
		Cause string `db:"cause"`
	}
	marks, args := control.List(nil, all)
	err := tx.Select(&rows, `SELECT p.storefront_id AS id, u.state, u.cause FROM placements p JOIN backends b ON b.name = p.backend
		JOIN schema_upgrade_places u ON u.run_id = `+newest+`
			AND u.storefront_id = CASE WHEN b.shared = 1 THEN '' ELSE p.storefront_id END AND (b.shared = 0 OR u.backend = p.backend)
		WHERE p.storefront_id IN (`+marks+`)`, args...)
	for _, r := range rows {
		out[backends.StorefrontID(r.ID)] = Fate{State: PlaceState(r.State), Cause: r.Cause}
	}
	return out, err
}

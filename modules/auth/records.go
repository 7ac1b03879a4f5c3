package auth

import (
	"context"
	"encoding/json"

	"smartseller/platform/control"
	"smartseller/platform/ids"
)

// Record is a line of the admins' audit: who changed what, when, and how it ended.
type Record struct {
	ID      string  `db:"id"`
	At      int64   `db:"at"`    // microseconds UTC
	Actor   string  `db:"actor"` // an admin's id, or who worked on the control database itself
	Email   *string `db:"email"` // of the admin; nil when the actor is none
	Action  string  `db:"action"`
	Subject string  `db:"subject"`
	Details string  `db:"details"` // a JSON object
	Outcome string  `db:"outcome"` // "begun", "done" or the code of the problem
	Address string  `db:"ip"`
}

const (
	outcomeBegun = "begun"
	outcomeDone  = "done"
)

// done is the record of a change of an admin that is made in the same transaction.
func done(by, action string, a *admin) Record {
	details, _ := json.Marshal(map[string]string{"email": a.Email, "role": a.Role}) // strings can always be told in JSON
	return Record{ID: ids.New(), Actor: by, Action: action, Subject: a.ID, Details: string(details), Outcome: outcomeDone}
}

// Begin writes down that an admin is about to change something; the change's outcome is
// told to finish. A record that stays "begun" is one of a process that died.
func (s *Service) Begin(ctx context.Context, r Record) (finish func(ctx context.Context, outcome string) error, err error) {
	r.ID, r.Outcome = ids.New(), outcomeBegun
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return insertRecord(tx, r) })
	return func(ctx context.Context, outcome string) error {
		return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return finishRecord(tx, r.ID, outcome) })
	}, err
}

// Records returns up to limit records, newest first, before the id cursor ("": from
// the newest on).
func (s *Service) Records(ctx context.Context, cursor string, limit int) (out []Record, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = listRecords(tx, cursor, int64(limit))
		return err
	})
	return out, err
}

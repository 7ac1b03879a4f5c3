package migration

import "errors"

// Rehearsal is the mode of a move that does everything but commit, on live traffic, and
// leaves nothing behind.
const Rehearsal = "rehearsal"

// errRehearsed ends the attempt of a rehearsal where a move would commit.
var errRehearsed = errors.New("rehearsed: a move would commit here")

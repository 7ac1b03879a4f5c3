package migration

import "strings"

// eventKind is a kind of event in a move's story.
type eventKind struct {
	name string
	what string // its data, for who follows the story
}

// eventKinds are all that there are.
var eventKinds = []eventKind{
	{"phase", "{phase, from}: the move has entered a phase; from is the one before, which the first event lacks"},
	{"claimed", "{gen, instance, from}: an instance runs the move from now on; from is the one that ran it before and did not hand it back, if there was one"},
	{"progress", "{table, copied, total, done}: rows of a table that are copied"},
	{"halted", "{why}: the copy halts for the sake of a server; why is empty when it goes on"},
	{"verified", "what each gate measured, by its name: both places are equal, and the cutover may come"},
	{"cut", "{cut, epoch}: an attempt to commit has begun (cutting), was given up (aborted) or has succeeded (committed, with the placement's new epoch), there or back"},
	{"asked", "{for}: an operator has asked for pause, resume, cancel, cutover, rollback, finalize or verify, which takes the place of what was asked before"},
	{"taken_back", "{for, why}: the word to cut over does not hold any more, since the seller wants no move now, or its plan was paused, has stopped or is cancelled"},
	{"doing", "{doing}: what may take long in its phase, such as to compare everything once more; empty when it is over"},
	{"paced", "{percent}: the share of the time that the move may work"},
	{EventYield, "{tenant_migrations}: a newer program, which has so many, was started, and the move makes way for it"},
	{"left_to_newer", "{tenant_migrations}: a newer program upgraded a place before the move began; one that has at least so many is to begin it"},
	{"trouble", "{error, since}: steps do not work and are tried again, since so many microseconds UTC; null when they work again"},
	{"audit", "both places were compared while a rollback is possible; what that found, as in the move's stats.audit"},
	{"pause_ended", "{changes}: the move was paused until so many changes waited for it, and is given up"},
	{"source_freed", "{backend}: the source, which was not there when the move ended, has come back and captures no changes any more, or the storefront has left it"},
	{"left_erased", "{backend, backend_removed}: what an ended move had left behind on a backend is erased, or gone with that backend"},
}

// aboutEvents lists the kinds for the description of the stream.
func aboutEvents() string {
	var b strings.Builder
	for _, k := range eventKinds {
		b.WriteString("\n- `" + k.name + "`: " + k.what)
	}
	return b.String()
}

package migration

import (
	"context"
	"fmt"

	"smartseller/backends"
)

// roomFactor is how many times its size a storefront needs at the target: rows,
// indexes built beside them, and the log of both.
const roomFactor = 2.5

// spaceCheck is the name of the gate that asks whether the target has room.
const spaceCheck = "space"

// checkSpace compares the room that the target has with what a storefront of so many
// bytes wants there. A room that nobody can know hinders nothing, but is said.
func checkSpace(ctx context.Context, directory *backends.Directory, target string, bytes int64) backends.Finding {
	f := backends.Finding{Check: spaceCheck}
	room, err := directory.Room(ctx, target)
	if err != nil {
		f.Warning, f.Problem, f.Fix = true, "the target's room cannot be asked for: "+err.Error(), "see that the target answers"
		return f
	}
	return spaceFinding(room, target, bytes)
}

func spaceFinding(room backends.Room, target string, bytes int64) backends.Finding {
	f := backends.Finding{Check: spaceCheck}
	wanted := int64(roomFactor * float64(bytes))
	f.Found = fmt.Sprintf("%s wanted, %s free at the target (%s)", size(wanted), size(room.Free), room.How)
	switch {
	case room.Free < 0:
		f.Warning, f.Problem = true, fmt.Sprintf("%s wanted; how much is free at the target is unknown: %s", size(wanted), room.How)
		f.Fix = fmt.Sprintf("say what the backend may hold: smartseller backend capacity %s GIB", target)
	case room.Free < wanted:
		f.Problem, f.Fix = f.Found, "make room at the target, raise its capacity if one was set, or choose another backend"
	}
	return f
}

// size is bytes as people read them.
func size(bytes int64) string {
	switch {
	case bytes < 0:
		return "an unknown number of bytes"
	case bytes < 10<<10:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 10<<20:
		return fmt.Sprintf("%d KiB", bytes>>10)
	case bytes < 10<<30:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d GiB", bytes>>30)
}

// passPreflight asks what must hold before anything is made at the target.
func (x *run) passPreflight(ctx context.Context, target backends.Backend) error {
	bytes, err := x.source.Size(ctx)
	if err != nil {
		return err
	}
	x.m.Stats.Bytes = bytes
	for _, f := range preflight(ctx, x.directory, target, bytes) {
		switch {
		case f.Hinders() && f.Check == reachableCheck && x.troubleSince.Load() != 0: // it could be reached before
			return fmt.Errorf("%w: %s", backends.ErrUnreachable, f.Problem)
		case f.Hinders() && f.Check == spaceCheck:
			return x.refuse(spaceCheck, f.Problem, f.Fix)
		case f.Hinders():
			return fmt.Errorf("%s: %s; %s", f.Check, f.Problem, f.Fix)
		case f.Check == spaceCheck && f.Problem != "":
			x.gate(spaceCheck, "unknown: "+f.Problem+"; "+f.Fix)
		case f.Check == spaceCheck:
			x.gate(spaceCheck, f.Found)
		}
	}
	return nil
}

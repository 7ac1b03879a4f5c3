package upgrades

import (
	"context"
	"errors"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/modules/storefronts"
	"smartseller/platform/database"
	"smartseller/platform/fault"
)

// SchemaState says in a word how a place's schema is.
type SchemaState string

// The states of a place's schema.
const (
	SchemaCurrent SchemaState = "current"
	SchemaBehind  SchemaState = "behind"
	SchemaNewer   SchemaState = "newer"   // than this program: another instance's is newer
	SchemaUnknown SchemaState = "unknown" // the place does not answer
	// SchemaElsewhere: on another host, and this one cannot look at it.
	SchemaElsewhere SchemaState = "elsewhere"
)

// PlaceSchema is the tenant schema where a storefront's data is now.
type PlaceSchema struct {
	Storefront storefronts.Storefront
	State      SchemaState
	Schema     database.Schema
	Problem    string // why the state is not known here
	Upgrade    Fate   // what became of its place in the newest run
}

const (
	schemaPatience = 5 * time.Second // for one place to answer
	schemaAtOnce   = 4               // places that are asked side by side
)

// Schemas looks at the places of up to limit storefronts by slug, after the slug
// cursor. One that does not answer is no error.
func (s *Service) Schemas(ctx context.Context, cursor string, limit int) ([]PlaceSchema, error) {
	found, err := s.shops.List(ctx, cursor, limit)
	if err != nil {
		return nil, err
	}
	fates, err := s.fates(ctx, found)
	if err != nil {
		return nil, err
	}
	out := make([]PlaceSchema, len(found))
	shared := newOnce()
	slots, asking := make(chan struct{}, schemaAtOnce), sync.WaitGroup{}
	for i, shop := range found {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			out[i] = s.schemaOf(ctx, shop, shared)
			out[i].Upgrade = fates[shop.ID]
		})
	}
	asking.Wait()
	return out, ctx.Err()
}

// Schema looks at the place of one storefront, given by id or slug.
func (s *Service) Schema(ctx context.Context, ref string) (PlaceSchema, error) {
	shop, err := s.shops.Find(ctx, ref)
	if err != nil {
		return PlaceSchema{}, err
	}
	return s.state(ctx, shop)
}

func (s *Service) state(ctx context.Context, shop storefronts.Storefront) (PlaceSchema, error) {
	fates, err := s.fates(ctx, []storefronts.Storefront{shop})
	out := s.schemaOf(ctx, shop, newOnce())
	out.Upgrade = fates[shop.ID]
	return out, err
}

// once remembers the answers of backends whose places share a schema, and those of
// backends that do not answer, so that no storefront waits for the same again.
type once struct {
	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	asked   sync.Once
	backend backends.Backend
	schema  database.Schema // where places share it
	problem problem
}

// problem is why a place's schema is not known; the zero problem: it is.
type problem struct {
	state SchemaState
	text  string
}

func newOnce() *once { return &once{answers: map[string]*answer{}} }

func (o *once) of(backend string) *answer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.answers[backend] == nil {
		o.answers[backend] = &answer{}
	}
	return o.answers[backend]
}

func (s *Service) schemaOf(ctx context.Context, shop storefronts.Storefront, shared *once) PlaceSchema {
	schema, hidden := s.askSchema(ctx, shop, shared)
	out := PlaceSchema{Storefront: shop, Schema: schema, Problem: hidden.text}
	switch {
	case hidden.text != "":
		out.State = hidden.state
	case out.Schema.Pending > 0:
		out.State = SchemaBehind
	case out.Schema.Unknown > 0:
		out.State = SchemaNewer
	default:
		out.State = SchemaCurrent
	}
	return out
}

func (s *Service) askSchema(ctx context.Context, shop storefronts.Storefront, shared *once) (database.Schema, problem) {
	whole := shared.of(shop.Backend)
	whole.asked.Do(func() { s.askBackend(ctx, shop.Place(), whole) })
	if whole.problem.text != "" || whole.backend.Shared() {
		return whole.schema, whole.problem
	}
	asking, cancel := context.WithTimeout(ctx, schemaPatience)
	defer cancel()
	schema, err := whole.backend.Schema(asking, shop.Place())
	return schema, problemOf(err)
}

func (s *Service) askBackend(ctx context.Context, p backends.Place, a *answer) {
	b, err := s.directory.Backend(ctx, p.Backend)
	if a.problem = problemOf(err); err != nil {
		return
	}
	asking, cancel := context.WithTimeout(ctx, schemaPatience)
	defer cancel()
	a.backend = b
	if b.Shared() {
		a.schema, err = b.Schema(asking, p)
	} else {
		err = b.Ping(asking)
	}
	a.problem = problemOf(err)
}

// problemOf says no more than an operator needs: a driver's text may name addresses.
func problemOf(err error) problem {
	var far *backends.Elsewhere
	var said *fault.Error
	switch {
	case err == nil:
		return problem{}
	case errors.As(err, &far):
		return problem{SchemaElsewhere, "lives on host " + far.Host + ": ask a server there"}
	case errors.Is(err, backends.ErrNoPlace):
		return problem{SchemaUnknown, "the place does not exist; see: smartseller move explain"}
	case errors.Is(err, backends.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return problem{SchemaUnknown, "the backend does not answer; see: smartseller doctor"}
	case errors.As(err, &said):
		return problem{SchemaUnknown, told(said)}
	}
	return problem{SchemaUnknown, "the schema cannot be read; see: smartseller doctor"}
}

// told is what an error says to operators, with the values that it names.
func told(said *fault.Error) string {
	text := said.Detail
	for _, field := range said.Fields {
		text += " " + field.String() + "."
	}
	return text
}

// UpgradeSchema brings the place of a storefront, given by id or slug, to the newest
// tenant schema; with it, those of all storefronts that share it, and before it the old
// place of an open rollback window. It goes on when ctx ends, and whoever asks for the same
// meanwhile waits for it. See backends.Directory.Upgrade.
func (s *Service) UpgradeSchema(ctx context.Context, ref string) (PlaceSchema, error) {
	shop, err := s.shops.Find(ctx, ref)
	if err != nil {
		return PlaceSchema{}, err
	}
	if err := s.bringAlone(ctx, Place{Key: Key{Storefront: shop.ID, Backend: shop.Backend}}); err != nil {
		return PlaceSchema{}, err
	}
	if shop, err = s.shops.Find(ctx, ref); err != nil { // it may have moved
		return PlaceSchema{}, err
	}
	return s.state(ctx, shop)
}

// bring upgrades a place, and says from which version to which.
func (s *Service) bring(ctx context.Context, p *Place) error {
	ctx, cancel := context.WithTimeout(ctx, placeWithin)
	defer cancel()
	at := backends.Place{Backend: p.Backend}
	if p.Storefront != "" {
		now, err := s.directory.Placement(ctx, p.Storefront)
		if err != nil {
			return err
		}
		at = now.Place
	}
	b, err := s.directory.Backend(ctx, at.Backend)
	if err != nil {
		return err
	}
	schema, err := b.Schema(ctx, at)
	if err == nil {
		p.Before, p.Version = schema.Version, schema.Version
		err = s.directory.Upgrade(ctx, at, "")
	}
	if err == nil {
		p.Version = schema.Newest
		return nil
	}
	if errors.Is(err, backends.ErrNoPlace) && p.Storefront != "" {
		now, lookup := s.directory.Placement(ctx, p.Storefront)
		if lookup == nil && now.Place != at { // it has moved meanwhile
			return s.bring(ctx, p)
		}
	}
	return inWords(err, at.Backend)
}

// inWords tells operators why a place is not upgraded, as far as that is known.
func inWords(err error, backend string) error {
	if failed := backends.CannotMigrate(err, backend); failed != nil {
		return failed
	}
	var far *backends.Elsewhere
	switch {
	case errors.As(err, &far):
		return far.Told()
	case errors.Is(err, backends.ErrLockBusy):
		return fault.New(fault.Unavailable, "place_busy", "Transactions on %s kept its tables locked (%s): end them, or upgrade again when they have ended.", backend, err).Because(err)
	case errors.Is(err, backends.ErrUnreachable):
		return fault.New(fault.Unavailable, "place_unreachable", "%s does not answer: start it, or correct its address (smartseller doctor), then upgrade again.", backend).Because(err)
	case errors.Is(err, backends.ErrNoPlace):
		return fault.New(fault.Conflict, "place_missing", "On %s there is no place of the storefront, though it should be there: restore it from a backup, then upgrade again.", backend).Because(err)
	}
	return err
}

// Package imports brings a shop's export into a storefront. It keeps the files in a
// spool, checks all of them, and only then writes, a batch of records at a time,
// by ordinary transactions: a storefront may serve and move meanwhile. What is there
// already stays as it is, so that an import can be repeated, also one that was
// interrupted. It is a part of the storefronts module.
package imports

import (
	"errors"
	"maps"
	"slices"

	"smartseller/backends"
	"smartseller/platform/fault"
)

// Kind says what the records of a file are.
type Kind string

// The kinds, in the order in which they are written: an order finds its customer
// and its products.
const (
	Customers Kind = "customers"
	Products  Kind = "products"
	Orders    Kind = "orders"
)

var kinds = []Kind{Customers, Products, Orders}

// Shopify is the one format that is known.
const Shopify = "shopify"

// State is where an import is.
type State string

// The states, in the order of an import that succeeds; then how others end.
const (
	Receiving State = "receiving"
	Checking  State = "checking"
	Writing   State = "writing"
	Completed State = "completed"

	Failed      State = "failed"
	Interrupted State = "interrupted"
)

// Import is one run, under way or ended.
type Import struct {
	ID          string
	Storefront  backends.StorefrontID
	Format      string
	State       State
	Files       []File
	Failure     *Failure // why it failed or was interrupted
	RequestedBy string
	CreatedAt   int64 // microseconds UTC
	UpdatedAt   int64
	EndedAt     *int64
}

// File says what has become of one file so far. Once all is written, every record
// is imported, unchanged or skipped.
type File struct {
	Kind      Kind             `json:"kind"`
	Name      string           `json:"name"`
	Bytes     int64            `json:"bytes"`
	Checked   int64            `json:"checked_bytes" doc:"How far the check has come"`
	Records   int64            `json:"records" doc:"Customers, products or orders in it; final once it is checked"`
	Imported  int64            `json:"imported"`
	Unchanged int64            `json:"unchanged" doc:"There already, maybe by an earlier record of the export: left as they are"`
	Skipped   int64            `json:"skipped" doc:"Left out; the omissions say why"`
	Parts     map[string]int64 `json:"parts,omitempty" doc:"Of the imported ones: addresses, variants, lines, guest_orders"`
	Omissions map[string]int64 `json:"omissions,omitempty" doc:"How often something was left out, by code; of all files the first 10,000 are listed"`
}

// Failure says why an import did not complete. Line and Column are those of the
// place where a file broke; 0 and "" for other failures.
type Failure struct {
	Status int    `json:"status" doc:"The HTTP status of such an error"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column string `json:"column,omitempty"`
}

// MaxListed is how many omissions of an import are listed, the first ones; all are counted.
const MaxListed = 10_000

// Omission is one record, or one value of a record, that was left out.
type Omission struct {
	Seq  int64  `db:"seq"` // from 1
	File string `db:"file"`
	Line int64  `db:"line"`
	Code string `db:"code"`
}

// reason says what an omission's code stands for.
type reason struct {
	skips  bool // the record; otherwise a value of it
	detail string
}

const (
	noEmail       = "no_email"
	invalidEmail  = "invalid_email"
	sameEmail     = "duplicate_email"
	accountExists = "account_exists"
	nameOut       = "name_left_out"
	phoneOut      = "phone_left_out"
	addressOut    = "address_left_out"
	handleTaken   = "handle_taken"
	numberTaken   = "number_taken"
)

var reasons = map[string]reason{
	noEmail:       {true, "The customer has no e-mail address, and an account needs one."},
	invalidEmail:  {true, "The customer's e-mail address is none that mail could be sent to."},
	sameEmail:     {true, "Another imported customer has the same e-mail address: the first one has the account."},
	accountExists: {true, "Somebody has an account here under this e-mail address: it stays as it is."},
	nameOut:       {false, "A name that no person has, or of more than 100 characters, was left out."},
	phoneOut:      {false, "A phone number that is not in international form, such as +4930123456, was left out."},
	addressOut:    {false, "The address was left out: it lacks a street or city, has a field that is too long, or its country is no ISO 3166-1 code."},
	handleTaken:   {true, "Another product of the storefront has this handle: it stays as it is."},
	numberTaken:   {true, "Another order of the storefront has this number: it stays as it is."},
}

// Codes lists the codes of omissions.
func Codes() []string { return slices.Sorted(maps.Keys(reasons)) }

// Skips says whether the whole record was left out.
func (o Omission) Skips() bool { return reasons[o.Code].skips }

// Detail says what was left out and why.
func (o Omission) Detail() string { return reasons[o.Code].detail }

// Errors of operations.
var (
	ErrNoImport = fault.New(fault.NotFound, "import_not_found", "There is no such import of this storefront; list its imports to see their ids.")
	ErrOpen     = fault.New(fault.Conflict, "import_open", "Another import into this storefront is under way: wait until it ends.")
	ErrBusy     = fault.New(fault.Unavailable, "imports_busy", "%d other imports are under way here, which is as many as run at once; try again.", atOnce).Retry(10)
	ErrNoFiles  = fault.New(fault.Invalid, "no_files", "There is nothing to import: send at least one file of customers, products or orders.")
	ErrTooMany  = fault.New(fault.Invalid, "too_many_files", "One import takes at most %d files: send the others in another one.", maxFiles)
	errInternal = fault.New(fault.Internal, "internal", "Something went wrong on our side; the import's id finds it in the server's log.")
	errNoReport = fault.New(fault.Unavailable, "report_unavailable", "The control database does not answer, so that the report cannot be kept.")
	errNoRoom   = fault.New(fault.Unavailable, "no_room", "The server has no room to keep the files while it reads them: make room on its disk and send them again.")
)

// Why a run ends without having failed.
var (
	errStopped = fault.New(fault.Unavailable, "interrupted",
		"The server stopped while the import was under way. Import the same files again: what is there already is left as it is.")
	errCutOff = fault.New(fault.Unavailable, "interrupted",
		"The import was cut off: the server stopped, or could not keep how far it was, as when its disk is full. "+
			"See that it runs and has room, then import the same files again: what is there already is left as it is.")
	errLost = errors.New("the import counts as interrupted")
)

func (i *Import) ended() bool {
	return i.State == Completed || i.State == Failed || i.State == Interrupted
}

// copy shares nothing with the original.
func (i *Import) copy() Import {
	c := *i
	c.Files = slices.Clone(i.Files)
	for n := range c.Files {
		c.Files[n].Parts, c.Files[n].Omissions = maps.Clone(c.Files[n].Parts), maps.Clone(c.Files[n].Omissions)
	}
	return c
}

func (f *File) add(t *tally) {
	f.Imported += t.imported
	f.Unchanged += t.unchanged
	f.Skipped += t.skipped
	if f.Parts == nil {
		f.Parts, f.Omissions = map[string]int64{}, map[string]int64{}
	}
	for part, n := range t.parts {
		f.Parts[part] += n
	}
	for _, o := range t.omitted {
		f.Omissions[o.Code]++
	}
}

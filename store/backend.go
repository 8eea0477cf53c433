package store

import (
	"context"
	"iter"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
)

// Retention is how long a backend keeps a record after its session has expired or
// ended, so that the store can tell what became of it.
const Retention = time.Hour

// An Ending is the reason why a session no longer lives under an ID.
type Ending string

// The endings.
const (
	Renewed   Ending = "renewed"    // the session has another ID now
	SignedOut Ending = "signed-out" // its own user signed out
	Replaced  Ending = "replaced"   // a sign-in with the same browser took its place
	Revoked   Ending = "revoked"    // it was ended from elsewhere
)

// A Record is a session as a backend keeps it. The store also keeps records of
// other kinds, which backends treat alike unless a rule says otherwise.
type Record struct {
	Kind    string    // "": a session. It never changes.
	Name    string    // name of the session cookie; "": made before names were kept
	User    string    // who is signed in; "": nobody. It never changes under one ID.
	Created time.Time // when the session began, also under earlier IDs
	Since   time.Time // when it got this ID; zero: it has had no other
	Seen    time.Time // last use, to the minute
	Expires time.Time // when the session ends unless it is used before
	Ended   Ending    // why it has ended already; "": it has not
	Next    string    // the ID that it was given when it was [Renewed]; "": none

	// Values holds the session's values by name, each as a JSON text that is
	// neither an object nor null. The map of a loaded record is read-only.
	Values map[string]string
}

// SignInValue is the name of the value that holds the details of a sign-in.
const SignInValue = signin.Name

// A Change is what one request did to a session.
type Change struct {
	Set    map[string]string // values to put, by name
	Delete []string          // names of values to drop; a missing one is no error

	// Seen and Expires move forward only: the later of the stored and the given
	// time stands. The zero time leaves them alone.
	Seen, Expires time.Time

	// MaxBytes bounds what the names and texts of all values take together once the
	// change is made, in bytes. A change that would exceed it is not made, unless it
	// leaves them no larger than they are. 0: there is no bound. All values count here: the
	// store raises the bound by those that do not count towards [Config].MaxBytes.
	MaxBytes int

	// If is a condition for the whole change. nil: there is none.
	If *Condition
}

// Fits returns nil if a record that has these values has room for the change, as MaxBytes
// says. Otherwise the error is [ErrTooLarge]. Backends that have the values at hand when
// they apply a change can leave the judgment to it.
func (c Change) Fits(values map[string]string) error {
	return fits(values, c.Set, c.Delete, c.MaxBytes)
}

// A Condition holds if a value still has a given text.
type Condition struct {
	Name string
	Text string // as it was loaded; "": there is no such value
}

// An Outcome is what became of a change.
type Outcome struct {
	Found bool // there is such a live record

	// Conflict means that Change.If does not hold, and nothing has changed. Text
	// is the text of the value that stands, "" if there is none.
	Conflict bool
	Text     string
}

// Changed reports whether the change was made.
func (o Outcome) Changed() bool { return o.Found && !o.Conflict }

// A Move is the change of a session's ID.
type Move struct {
	ID string // the new one

	// Record is the session under the new ID, but for its values: those are what
	// stands in the store at that instant, less Drop, overlaid with Record.Values.
	Record Record
	Drop   []string

	MaxBytes int // bounds the values as [Change].MaxBytes does

	Trace Record // what is left under the old ID: it has ended, and Next is the new one
}

// Fits is [Change.Fits] for a move of a session that has these values.
func (m Move) Fits(values map[string]string) error {
	return fits(values, m.Record.Values, m.Drop, m.MaxBytes)
}

// A Backend keeps records. [New] makes a session store of one; the package
// storetest holds the contract as tests.
//
// Times are kept to the millisecond at least. A record is live until its Expires,
// unless it has ended; one with a Kind is live until it is removed. Absence is a
// bool and failure is an error: a method that returns an error has changed
// nothing, as far as it can know. Every method is safe for concurrent use, by
// several processes if they share the medium, and takes effect at one instant:
// nobody sees half of a change.
//
// IDs are opaque, 43 characters of base64url. They are hashes, which nobody can
// turn back into a token. User names and value names are any UTF-8 text without
// NUL.
//
// No session is ever found by its ID that [Backend.List] of its user does not
// know, even if the process dies between two steps.
type Backend interface {
	// Create stores a new record. It reports false, and changes nothing, if the
	// ID is taken.
	Create(ctx context.Context, id string, r Record) (bool, error)

	// Load returns the record, also if it has expired or ended up to [Retention]
	// ago. It may answer from memory although another process has changed the
	// record a moment ago. The error is [ErrCorrupt] if what is stored cannot be
	// read as a record.
	Load(ctx context.Context, id string) (Record, bool, error)

	// LoadFresh returns those of the records that exist, by ID, each as it stands
	// in the medium. They need not be of the same instant.
	LoadFresh(ctx context.Context, ids ...string) (map[string]Record, error)

	// Update applies a change to a live record, value by value: what other
	// requests changed stands beside it. If the record is not live, or the
	// condition does not hold, it changes nothing. It never creates a record.
	//
	// The error is [ErrTooLarge] if the record is live, the condition holds, and the
	// values would exceed Change.MaxBytes together with what stands: see [Change.Fits]. If
	// the medium stores a value as another text, with spaces for example, either length
	// counts. Over a backend that ignores the bound each change is bounded by itself, and
	// the session is not.
	Update(ctx context.Context, id string, c Change) (Outcome, error)

	// Rotate gives a live session a new ID. The old one is dead at once. Rotate
	// reports false, and changes nothing, if the session is not live. The error is
	// [ErrTooLarge] if its values would exceed Move.MaxBytes. If the process dies
	// meanwhile, the trace may be missing.
	Rotate(ctx context.Context, id string, m Move) (bool, error)

	// End ends those of the sessions that are live, and returns their IDs. What is
	// left of each is a trace: the record, without its values, that has ended now, for
	// the given reason. All of them are sessions of the user; of anybody if that is "".
	End(ctx context.Context, user string, why Ending, ids ...string) ([]string, error)

	// Delete removes a record, live or not, and reports whether it was there.
	Delete(ctx context.Context, id string) (bool, error)

	// List returns the sessions of a user by ID, each once and as it stands in the
	// medium, none for the empty user. It may leave out those that have expired or ended. Of the values
	// only [SignInValue] need be there.
	List(ctx context.Context, user string) (map[string]Record, error)

	// Scan yields all sessions and all traces of renewed ones, as they stand in the
	// medium, in portions, by ID. What is there from the beginning to the end comes exactly once; what comes or
	// goes meanwhile may be left out. Of the values only [SignInValue] need be there.
	// A portion is small, however many there are, and while it is being looked at no
	// lock and no connection is held. It is the caller's, to be changed. An empty one
	// says that it goes on. The error, if there is one, comes last.
	Scan(ctx context.Context) iter.Seq2[map[string]Record, error]

	// Now returns the time of a clock that all processes share, such as that of
	// the server that keeps id.
	Now(ctx context.Context, id string) (time.Time, error)

	// Close stops what the backend runs by itself, such as the removal of expired
	// records. It does not close a client that the caller made. It may be called
	// twice.
	Close() error
}

// A Peek names a value of some records.
type Peek struct {
	Name string
	IDs  []string
}

// A PeekingBackend is a [Backend] that stores a session and then reads a value of
// other records, as they stand after that, in one round trip. For other backends
// the store calls Create or Rotate, and then LoadFresh.
type PeekingBackend interface {
	Backend

	// CreateAndPeek and RotateAndPeek return the texts of the values in the order of
	// the IDs, "" for one that is not there; none if nothing was stored.
	CreateAndPeek(ctx context.Context, id string, r Record, p Peek) (created bool, texts []string, err error)
	RotateAndPeek(ctx context.Context, id string, m Move, p Peek) (moved bool, texts []string, err error)
}

// A CountingBackend is a [Backend] that counts the live sessions without reading each
// of them. For other backends the store goes through them all.
type CountingBackend interface {
	Backend

	// Count counts the sessions of all processes. It may lag a moment behind what
	// another process has done.
	Count(ctx context.Context) (Counts, error)
}

// A WatchingBackend is a [Backend] that learns of changes made by other processes
// without asking. For other backends the store asks once a second.
type WatchingBackend interface {
	Backend

	// Watch calls changed whenever the record may have been changed or removed, by
	// anyone, until stop is called. It may call it without cause, and calls it
	// when it has lost its connection and may have missed something. changed
	// returns at once and may be called from any goroutine.
	Watch(id string, changed func()) (stop func())
}

package store

import (
	"context"
	"time"
)

// Retention is how long a backend keeps the record of a session that has run
// out, so that an expired session can be told from one that never was.
const Retention = time.Hour

// A Record is a session as a backend keeps it.
type Record struct {
	User    string    // who is signed in; "": nobody. It never changes under one ID.
	Created time.Time // when the session began, also under earlier IDs
	Seen    time.Time // last use, to the minute
	Expires time.Time // when the session ends unless it is used before

	// Values holds the session's values by name, each as a JSON text that is
	// neither an object nor null. The map of a loaded record is read-only.
	Values map[string]string
}

// A Change is what one request did to a session.
type Change struct {
	Set    map[string]string // values to put, by name
	Delete []string          // names of values to drop; a missing one is no error

	// Seen and Expires move forward only: the later of the stored and the given
	// time stands. The zero time leaves them alone.
	Seen, Expires time.Time
}

// A Backend keeps records. [New] makes a session store of one; the package
// storetest holds the contract as tests.
//
// Times are kept to the millisecond at least. A session is live while the time
// is before its Expires. Absence is a bool and failure is an error: a method
// that returns an error has changed nothing, as far as it can know. Every method
// is safe for concurrent use, by several processes where the medium is shared,
// and takes effect at one instant: nobody sees half of a change.
//
// IDs are opaque, 43 characters of base64url. They are hashes: who reads them
// cannot use them. User names and value names are any UTF-8 text without NUL.
//
// No record is ever found by its ID that [Backend.List] of its user does not
// know, even if the process dies between two steps.
type Backend interface {
	// Create stores a new record. It reports false, and changes nothing, if the
	// ID is taken.
	Create(ctx context.Context, id string, r Record) (bool, error)

	// Load returns the record, which may have expired up to [Retention] ago.
	// The error is [ErrCorrupt] where what is stored cannot be read as a record.
	Load(ctx context.Context, id string) (Record, bool, error)

	// Update applies a change to a live session, value by value: what other
	// requests changed stands beside it. It reports false, and changes nothing,
	// if the session is gone or has expired. It never creates one.
	Update(ctx context.Context, id string, c Change) (bool, error)

	// Rotate moves a live session to a new ID. The new record has the user and
	// the times of r; its values are those that stand in the store at this
	// instant, less drop, overlaid with r.Values. The old ID is dead at once. It
	// reports false, and changes nothing, if the old session is gone or expired.
	Rotate(ctx context.Context, id, newID string, r Record, drop []string) (bool, error)

	// Delete removes a record, expired or not, and reports whether it was there.
	Delete(ctx context.Context, id string) (bool, error)

	// List returns the records of a user by ID, none for the empty user. It may
	// leave out those that have expired.
	List(ctx context.Context, user string) (map[string]Record, error)

	// Close stops what the backend runs by itself, such as the removal of expired
	// records. It does not close a client that the caller made. It may be called
	// twice.
	Close() error
}

// A CachedBackend is a [Backend] that may answer Load from memory although
// another process has changed the record since.
type CachedBackend interface {
	Backend

	// LoadFresh is Load with the answer of the server itself.
	LoadFresh(ctx context.Context, id string) (Record, bool, error)
}

// A WatchingBackend is a [Backend] that hears of changes made by other processes
// without asking. For other backends the store asks once a second.
type WatchingBackend interface {
	Backend

	// Watch calls changed whenever the record may have been changed or removed, by
	// whomever, until stop is called. It may call it without cause, and calls it
	// when it has lost its connection and may have missed something. changed
	// returns at once and may be called from any goroutine.
	Watch(id string, changed func()) (stop func())
}

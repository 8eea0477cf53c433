// Package store keeps sessions on the server.
//
// [New] turns a small [Backend] into a store for gin-contrib/sessions. Three
// backends come with it: store/memstore, store/sqlstore and store/redisstore.
// With sessionkit.Sessions a store keeps every promise of the middleware; it is also a
// plain store for sessions.Sessions of gin-contrib.
//
// The cookie holds a random token. The store keeps its SHA-256 and nothing more,
// so a copy of the database opens no session. A token opens the session of the
// name that it was made for: stores may be shared by several cookies.
package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	tokens "github.com/gin-sessionkit/sessionkit/internal/token"
)

var (
	// ErrCorrupt is the error of a stored record that cannot be read.
	ErrCorrupt = errors.New("the stored session is corrupt")

	// ErrTooLarge is the error of a session whose values exceed [Config].MaxBytes.
	ErrTooLarge = errors.New("the session is too large")

	// ErrFull is the error of a new session for which the store has no room.
	ErrFull = errors.New("the store is full")

	// ErrEnded is the error of a change to a session that was ended meanwhile.
	ErrEnded = errors.New("the session has ended")
)

// Config adjusts a [Store]. The zero value is right for most applications.
type Config struct {
	// Timeout bounds one operation on the backend, so that a server that hangs
	// gives errors and not requests that hang. Default: 2 s. Negative: no bound,
	// for backends that cannot hang or bound themselves.
	Timeout time.Duration

	// MaxBytes bounds the names and values of one session together, also if many
	// requests add to it at the same time. What sessionkit itself notes of the sign-in,
	// the cookie and the device does not count. A session that is larger already goes on,
	// but nothing can be added: the bound was lowered, [Migrate] has moved the session, or
	// the database gives JSON back with spaces. Default: 1 MiB.
	MaxBytes int
}

// Validate returns nil if [New] accepts the Config. Otherwise the error names each
// field that is wrong, why, and the remedy.
func (c Config) Validate() error {
	f := config.Fields{Prefix: "store: Config."}
	if c.Timeout > 0 && c.Timeout < minTimeout {
		f.Add("Timeout", c.Timeout.String(), "no server answers so soon; multiply by time.Millisecond or time.Second, or use -1 for no bound")
	}
	if c.MaxBytes < 0 {
		f.Add("MaxBytes", strconv.Itoa(c.MaxBytes), "must be positive; 0 means the default, 1 MiB")
	}
	return f.Err()
}

const minTimeout = time.Millisecond

// A Store keeps sessions in a [Backend]. It is a store of gin-contrib/sessions,
// and outside any request it lists and ends the sessions of a user. All methods
// are safe for concurrent use.
type Store struct {
	backend Backend
	config  Config
	options atomic.Pointer[gsessions.Options]
	watches watches
	orphans orphans

	successor atomic.Bool // sessions move here from another store
}

var _ sessions.Store = (*Store)(nil)

// New returns a store that keeps its sessions in backend. It panics on a [Config]
// that cannot work, and on more than one.
func New(backend Backend, configs ...Config) *Store {
	c, err := config.One("store: New", configs)
	if err = errors.Join(err, c.Validate()); err != nil {
		panic(err)
	}
	if backend == nil {
		panic("store: New needs a Backend; memstore.NewBackend() is one")
	}
	s := &Store{backend: backend, config: c}
	if s.config.Timeout == 0 {
		s.config.Timeout = 2 * time.Second
	}
	if s.config.MaxBytes == 0 {
		s.config.MaxBytes = 1 << 20
	}
	s.options.Store(defaultOptions())
	return s
}

// ID returns the ID of the session that a token opens: it is public, and safe to
// log. ok is false for a text that cannot be a token.
func ID(token string) (id string, ok bool) { return tokens.ID(token) }

func newToken(r Record) string { return tokens.New(r.User != "") }

// load returns a record. It may come from a cache unless fresh is set.
func (s *Store) load(ctx context.Context, id string, fresh bool) (r Record, found bool, err error) {
	if fresh {
		if !tokens.IsID(id) { // it may come from a form, and be one that a database refuses
			return Record{}, false, nil
		}
		records, err := s.loadFresh(ctx, id)
		r, found = records[id]
		return r, found, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	r, found, err = s.backend.Load(ctx, id)
	return r, found, wrap("loading a session", err)
}

func (s *Store) loadFresh(ctx context.Context, ids ...string) (map[string]Record, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	records, err := s.backend.LoadFresh(ctx, ids...)
	return records, wrap("loading a session", err)
}

// open returns the record of the session that a token opens, also what is left of
// it, and its ID. Of two names over one store neither opens the other's sessions: it is
// not found, and the record says no more than the other name.
func (s *Store) open(ctx context.Context, name, token string, fresh bool) (id string, r Record, found bool, err error) {
	id, ok := ID(token)
	if !ok {
		return "", Record{}, false, nil
	}
	r, found, err = s.load(ctx, id, fresh)
	if err != nil || !found || r.Kind != "" || r.Name != "" && r.Name != name {
		return id, Record{Name: r.Name}, false, err
	}
	return id, r, true, nil
}

var errTwice = errors.New("the backend has carried out the command twice, as a client may have sent it again")

// create stores a new session, of whatever size, and returns its token and its ID, and the
// boundaries of its user as they stand after that.
func (s *Store) create(ctx context.Context, r Record) (token, id string, b boundaries, err error) {
	token = newToken(r)
	id, _ = ID(token)
	var peeked []string
	if r.User != "" {
		peeked = boundaryIDs(r.User, r.Name, r.signIn().Line)
	}
	created, b, err := s.storeAndPeek(ctx, peeked, func(ctx context.Context) (bool, error) {
		return s.backend.Create(ctx, id, r)
	}, func(ctx context.Context, backend PeekingBackend, p Peek) (bool, []string, error) {
		return backend.CreateAndPeek(ctx, id, r, p)
	})
	if err == nil && !created {
		created, err = true, fmt.Errorf("its ID is taken: %w, or the source of randomness is broken", errTwice)
	}
	if err != nil {
		return "", "", b, s.abandon(ctx, r.User, id, created, wrap("creating a session", err))
	}
	return token, id, b, nil
}

// update applies a change to a session that was loaded as held.
func (s *Store) update(ctx context.Context, id string, held Record, c Change) (outcome Outcome, err error) {
	if c.MaxBytes, err = s.bytesFor(held.Values, c.Set, c.Delete); err != nil {
		return Outcome{}, err
	}
	outcome, err = s.apply(ctx, id, c)
	if err == nil {
		return outcome, nil
	}
	if c.MaxBytes, err = s.bytesAgain(ctx, id, c.Set, c.Delete, err); err != nil {
		return Outcome{}, err
	}
	return s.apply(ctx, id, c)
}

// apply applies a change that has its bound.
func (s *Store) apply(ctx context.Context, id string, c Change) (Outcome, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	outcome, err := s.backend.Update(ctx, id, c)
	return outcome, wrap("saving a session", err)
}

// rotate moves a session that was loaded as held to a new token. The boundaries are
// those of its user, name and sign-in, which has a line unless that is new, or that of everyone
// if there is no user, as they stand after that.
func (s *Store) rotate(
	ctx context.Context, id string, held, r Record, line string, drop []string,
) (token, newID string, b boundaries, found bool, err error) {
	most, err := s.bytesFor(held.Values, r.Values, drop)
	if err != nil {
		return "", "", b, false, err
	}
	token = newToken(r)
	newID, _ = ID(token)
	m := Move{ID: newID, Record: r, Drop: drop, MaxBytes: most, Trace: held.trace(Renewed)}
	now := time.Now()
	if next := held.Since.Add(time.Millisecond); now.Before(next) { // it was another machine's clock
		now = next
	}
	m.Record.Since, m.Trace.Expires, m.Trace.Next = now, now, newID
	var peeked []string
	if r.User == "" {
		peeked = []string{everyoneID}
	} else {
		peeked = boundaryIDs(r.User, r.Name, line)
	}
	if found, b, err = s.moveAndPeek(ctx, id, m, peeked); errors.Is(err, ErrTooLarge) {
		if m.MaxBytes, err = s.bytesAgain(ctx, id, r.Values, drop, err); err != nil {
			return "", "", b, false, wrap("renewing a session", err)
		}
		found, b, err = s.moveAndPeek(ctx, id, m, peeked)
	}
	if err == nil && !found { // under the old ID
		var left Record
		if left, _, err = s.load(ctx, id, true); left.Next == newID {
			found, err = true, errTwice
		}
	}
	if err != nil || !found {
		return "", "", b, false, s.abandon(ctx, r.User, newID, found, wrap("renewing a session", err))
	}
	return token, newID, b, true, nil
}

// moveAndPeek makes a move, and then reads the boundaries with these IDs.
func (s *Store) moveAndPeek(ctx context.Context, id string, m Move, ids []string) (found bool, b boundaries, err error) {
	return s.storeAndPeek(ctx, ids, func(ctx context.Context) (bool, error) {
		return s.backend.Rotate(ctx, id, m)
	}, func(ctx context.Context, backend PeekingBackend, p Peek) (bool, []string, error) {
		return backend.RotateAndPeek(ctx, id, m, p)
	})
}

// abandon ends a session that was stored although the step as a whole has failed, also if
// it may have been: nobody is told its token.
func (s *Store) abandon(ctx context.Context, user, id string, stored bool, err error) error {
	if !stored || err == nil {
		s.orphan(id, err)
		return err
	}
	_, endErr := s.endUnknown(ctx, user, id)
	return errors.Join(err, endErr)
}

// endUnknown ends a session that was stored a moment ago and is known to nobody.
func (s *Store) endUnknown(ctx context.Context, user, id string) (ended []string, err error) {
	ended, err = s.end(context.WithoutCancel(ctx), user, Revoked, id)
	s.orphan(id, err)
	return ended, err
}

// removeUnknown is endUnknown for one that leaves no trace.
func (s *Store) removeUnknown(ctx context.Context, id string) error {
	err := s.remove(ctx, id)
	s.orphan(id, err)
	return err
}

// storeAndPeek stores a session, and then reads the boundaries with these IDs.
func (s *Store) storeAndPeek(
	ctx context.Context, ids []string,
	put func(context.Context) (bool, error), both func(context.Context, PeekingBackend, Peek) (bool, []string, error),
) (stored bool, b boundaries, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if len(ids) == 0 {
		stored, err = put(ctx)
		return stored, b, err
	}
	if backend, ok := s.backend.(PeekingBackend); ok {
		var texts []string
		if stored, texts, err = both(ctx, backend, Peek{boundaryName, ids}); stored && err == nil {
			b, err = readBoundaries(texts)
		}
		return stored, b, err
	}
	if stored, err = put(ctx); stored && err == nil {
		b, err = s.loadBoundaries(ctx, ids)
	}
	return stored, b, err
}

// trace returns what is left of a session that ends now.
func (r Record) trace(why Ending) Record {
	if now := time.Now(); now.Before(r.Expires) {
		r.Expires = now
	}
	text, signedIn := r.Values[SignInValue]
	r.Ended, r.Values = why, nil
	if signedIn {
		r.Values = map[string]string{SignInValue: text}
	}
	return r
}

// remove removes a record as if it had never been there.
func (s *Store) remove(ctx context.Context, id string) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	_, err := s.backend.Delete(ctx, id)
	return wrap("removing a session", err)
}

// wrap says what was being done when an operation failed.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}

// bound limits the time of one operation.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.config.Timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.config.Timeout)
}

// Close ends the watches and stops what the store and the backend run by themselves. The
// store must not be used after.
func (s *Store) Close() error {
	s.watches.close()
	s.orphans.close(max(s.config.Timeout, 0))
	return s.backend.Close()
}

// Package store keeps sessions on the server.
//
// [New] turns a small [Backend] into a store for gin-contrib/sessions. Three
// backends come with it: store/memstore, store/sqlstore and store/redisstore.
// With sessionkit.Sessions a store keeps every promise of the kit; it is also a
// plain store for sessions.Sessions of gin-contrib.
//
// The cookie holds a random secret. The store keeps the SHA-256 of it and
// nothing more, so a copy of the database opens no session.
package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"
)

var (
	// ErrCorrupt is the error of a stored record that cannot be read.
	ErrCorrupt = errors.New("the stored session is corrupt")

	// ErrTooLarge is the error of a session whose values exceed [Config].MaxBytes.
	ErrTooLarge = errors.New("the session is too large")

	// ErrEnded is the error of a change to a session that was ended meanwhile.
	ErrEnded = errors.New("the session has ended")
)

// Config adjusts a [Store]. The zero value is right for most applications.
type Config struct {
	// Timeout bounds one operation on the backend, so that a server that hangs
	// gives errors and not requests that hang. Default: 2 s. Negative: no bound,
	// for backends that cannot hang or bound themselves.
	Timeout time.Duration

	// MaxBytes bounds the names and values of one session together. Default: 1 MiB.
	MaxBytes int
}

// A Store keeps sessions in a [Backend]. It is a store of gin-contrib/sessions,
// and outside any request it lists and ends the sessions of a user. All methods
// are safe for concurrent use.
type Store struct {
	backend Backend
	config  Config
	options atomic.Pointer[gsessions.Options]
	watches watches
}

var _ sessions.Store = (*Store)(nil)

// New returns a store that keeps its sessions in backend.
func New(backend Backend, config ...Config) *Store {
	s := &Store{backend: backend}
	for _, c := range config {
		s.config = c
	}
	if s.config.Timeout == 0 {
		s.config.Timeout = 2 * time.Second
	}
	if s.config.MaxBytes <= 0 {
		s.config.MaxBytes = 1 << 20
	}
	s.options.Store(defaultOptions())
	return s
}

const (
	secretBytes = 32 // 256 bits of crypto/rand; OWASP ASVS 5.0 7.2.3 asks for 128
	secretChars = 43 // as base64url; a handle, which is a SHA-256, has as many
)

// newSecret returns a new secret: 43 characters of base64url.
func newSecret() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // it never fails: the program ends instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID returns the public handle of the session that a secret opens. It is false
// for a text that cannot be a secret.
func ID(secret string) (string, bool) {
	if len(secret) != secretChars {
		return "", false
	}
	// Both arrays stay on the stack: the handle is the only allocation.
	var in, out [secretChars]byte
	copy(in[:], secret)
	other := uint8(0)
	for _, c := range in {
		other |= notBase64url[c]
	}
	if other != 0 {
		return "", false
	}
	sum := sha256.Sum256(in[:])
	encode(&out, &sum)
	return string(out[:]), true
}

// encode does what [base64.RawURLEncoding] does to 32 bytes, in a third of the
// time: it runs once for each request.
func encode(out *[secretChars]byte, sum *[sha256.Size]byte) {
	for i, j := 0, 0; i < sha256.Size-2; i, j = i+3, j+4 {
		n := uint(sum[i])<<16 | uint(sum[i+1])<<8 | uint(sum[i+2])
		out[j] = base64url[n>>18]
		out[j+1] = base64url[n>>12&63]
		out[j+2] = base64url[n>>6&63]
		out[j+3] = base64url[n&63]
	}
	n := uint(sum[sha256.Size-2])<<8 | uint(sum[sha256.Size-1])
	out[secretChars-3] = base64url[n>>10]
	out[secretChars-2] = base64url[n>>4&63]
	out[secretChars-1] = base64url[n<<2&63]
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// notBase64url is 1 for each byte that is none of base64url.
var notBase64url = func() (set [256]uint8) {
	for c := range set {
		if strings.IndexByte(base64url, byte(c)) < 0 {
			set[c] = 1
		}
	}
	return set
}()

// Load returns the record of the session that secret opens, which may have
// expired, and its public handle. It is false for a secret that opens none. With
// fresh the answer never comes from a cache.
func (s *Store) Load(ctx context.Context, secret string, fresh bool) (id string, r Record, found bool, err error) {
	id, ok := ID(secret)
	if !ok {
		return "", Record{}, false, nil
	}
	r, found, err = s.load(ctx, id, fresh)
	return id, r, found, err
}

func (s *Store) load(ctx context.Context, id string, fresh bool) (Record, bool, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if fresh {
		if cached, ok := s.backend.(CachedBackend); ok {
			return loaded(cached.LoadFresh(ctx, id))
		}
	}
	return loaded(s.backend.Load(ctx, id))
}

func loaded(r Record, found bool, err error) (Record, bool, error) {
	if err != nil {
		return Record{}, false, fmt.Errorf("store: loading a session: %w", err)
	}
	return r, found, nil
}

// Create stores a new session and returns its secret and its public handle.
func (s *Store) Create(ctx context.Context, r Record) (secret, id string, err error) {
	if err := s.fits(nil, r.Values, nil); err != nil {
		return "", "", err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	secret = newSecret()
	id, _ = ID(secret)
	created, err := s.backend.Create(ctx, id, r)
	if err != nil {
		return "", "", fmt.Errorf("store: creating a session: %w", err)
	}
	if !created {
		return "", "", errors.New("store: creating a session: 256 random bits came twice: the source of randomness is broken")
	}
	return secret, id, nil
}

// Update applies a change to a session that was loaded as held. It reports
// false, and changes nothing, if the session has ended.
func (s *Store) Update(ctx context.Context, id string, held Record, c Change) (bool, error) {
	if err := s.fits(held.Values, c.Set, c.Delete); err != nil {
		return false, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	found, err := s.backend.Update(ctx, id, c)
	if err != nil {
		return false, fmt.Errorf("store: saving a session: %w", err)
	}
	return found, nil
}

// Rotate moves a session that was loaded as held to a new secret; see [Backend].
// It reports false, and changes nothing, if the session has ended.
func (s *Store) Rotate(ctx context.Context, id string, held, r Record, drop []string) (secret, newID string, found bool, err error) {
	if err := s.fits(held.Values, r.Values, drop); err != nil {
		return "", "", false, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	secret = newSecret()
	newID, _ = ID(secret)
	found, err = s.backend.Rotate(ctx, id, newID, r, drop)
	if err != nil || !found {
		if err != nil {
			err = fmt.Errorf("store: renewing a session: %w", err)
		}
		return "", "", false, err
	}
	return secret, newID, true, nil
}

// Delete removes a session and reports whether it was there.
func (s *Store) Delete(ctx context.Context, id string) (bool, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	found, err := s.backend.Delete(ctx, id)
	if err != nil {
		return false, fmt.Errorf("store: ending a session: %w", err)
	}
	return found, nil
}

// bound limits the time of one operation.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.config.Timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.config.Timeout)
}

// fits judges the size of a session whose values are overlaid with set, less
// drop. What makes no session larger need not be measured, and always fits.
func (s *Store) fits(values, set map[string]string, drop []string) error {
	grows := 0
	for name, text := range set {
		grows += len(text)
		if old, replaced := values[name]; replaced {
			grows -= len(old)
		} else {
			grows += len(name)
		}
	}
	if grows <= 0 {
		return nil
	}
	n := grows
	for name, text := range values {
		_, replaced := set[name]
		if replaced || !slices.Contains(drop, name) {
			n += len(name) + len(text)
		}
	}
	if n > s.config.MaxBytes {
		return fmt.Errorf("store: saving a session of %d bytes, more than Config.MaxBytes = %d: %w", n, s.config.MaxBytes, ErrTooLarge)
	}
	return nil
}

// Sessions returns the live sessions of a user, the latest sign-in first. The
// empty user has none.
func (s *Store) Sessions(ctx context.Context, user string) ([]Session, error) {
	records, err := s.list(ctx, user)
	return describe(records), err
}

func describe(records map[string]Record) []Session {
	list := make([]Session, 0, len(records))
	for id, r := range records {
		list = append(list, r.Session(id))
	}
	slices.SortFunc(list, func(a, b Session) int {
		return cmp.Or(b.SignedInAt.Compare(a.SignedInAt), cmp.Compare(b.ID, a.ID))
	})
	return list
}

// list returns the live records of a user.
func (s *Store) list(ctx context.Context, user string) (map[string]Record, error) {
	if user == "" {
		return nil, nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	records, err := s.backend.List(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("store: listing a user's sessions: %w", err)
	}
	now := time.Now()
	live := make(map[string]Record, len(records))
	for id, r := range records {
		if now.Before(r.Expires) {
			live[id] = r
		}
	}
	return live, nil
}

// Revoke ends a session of user, by its public handle. Ending one that is gone
// already, or is another user's, is no error and changes nothing.
func (s *Store) Revoke(ctx context.Context, user, id string) error {
	records, err := s.list(ctx, user)
	if err != nil {
		return err
	}
	r, ok := records[id]
	if !ok {
		return nil
	}
	_, err = s.End(ctx, id, r)
	return err
}

// End ends the session r that was found under id, also if it was given a new ID
// since. It reports whether there was anything left to end.
func (s *Store) End(ctx context.Context, id string, r Record) (bool, error) {
	line := r.SignIn().Line
	for {
		found, err := s.Delete(ctx, id)
		if found || err != nil {
			return found, err
		}
		// It is gone, or a request in flight renewed it a moment ago.
		if id, _, err = s.find(ctx, r.User, line); id == "" {
			return false, err
		}
	}
}

// find returns the live session of user that has the line of a sign-in, "" if
// there is none.
func (s *Store) find(ctx context.Context, user, line string) (string, Record, error) {
	if line == "" {
		return "", Record{}, nil
	}
	records, err := s.list(ctx, user)
	for id, r := range records {
		if r.SignIn().Line == line {
			return id, r, nil
		}
	}
	return "", Record{}, err
}

// RevokeAll ends all sessions of user but those in except, which are named by
// their public handles or by the lines of their sign-ins, and returns how many it
// ended. On an error it may have ended some.
func (s *Store) RevokeAll(ctx context.Context, user string, except ...string) (int, error) {
	records, err := s.list(ctx, user)
	if err != nil {
		return 0, err
	}
	spared := make(map[string]bool, len(except))
	for _, name := range except {
		spared[name] = true
		if line := records[name].SignIn().Line; line != "" {
			spared[line] = true
		}
	}
	delete(spared, "") // names nothing
	ended := 0
	for id, r := range records {
		if spared[id] || spared[r.SignIn().Line] {
			continue
		}
		found, err := s.End(ctx, id, r)
		if err != nil {
			return ended, err
		}
		if found {
			ended++
		}
	}
	return ended, nil
}

// Trim ends the oldest sign-ins of user until limit of them live, and returns
// the public handles of those that it ended. Sign-ins that run at the same time
// may each call it: limit of them are left.
func (s *Store) Trim(ctx context.Context, user string, limit int) ([]string, error) {
	records, err := s.list(ctx, user)
	if err != nil || len(records) <= limit {
		return nil, err
	}
	var ended []string
	for _, old := range describe(records)[limit:] {
		found, err := s.End(ctx, old.ID, records[old.ID])
		if err != nil {
			return ended, err
		}
		if found {
			ended = append(ended, old.ID)
		}
	}
	return ended, nil
}

// Close ends the watches and stops what the backend runs by itself. The store must
// not be used after.
func (s *Store) Close() error {
	s.watches.close()
	return s.backend.Close()
}

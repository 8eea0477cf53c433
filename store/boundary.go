package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	tokens "github.com/gin-sessionkit/sessionkit/internal/token"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A boundary ends what cannot be found: a sign-in or a renewal that is under way
// while sessions are ended has no record yet, or has it under an ID that nobody
// has read. So whoever ends sessions first moves the boundary of their user, then
// lists the sessions, then ends them. Whoever makes a session, by signing in or by
// giving one a new ID, reads the boundary once the session is stored and before
// anyone is told its token, and ends it if it should not be there. Of these two one
// always sees the other, however they are interleaved, and nobody needs to try
// again until others are quiet.
//
// A sign-in that is ended by itself, while its session may be about to get another ID, has
// a boundary of its own.
//
// Each is kept as a record of its own, of which nearly all users have none. None grows with
// what is ended: whoever has signed in can have that done as often as they like.
type boundary struct {
	// Epoch changes each time that all sessions are ended, but for those that are Spared, by
	// the lines or marks of their sign-ins.
	Epoch  string   `json:"epoch,omitempty"`
	Spared []string `json:"spared,omitempty"`
	At     int64    `json:"at,omitempty"` // Unix microseconds, of the backend's clock

	// Done is when the walk that ends everyone's sessions was over, by the same clock; 0:
	// not yet. A visitor's session has no sign-in that notes an epoch: see endsVisitor.
	Done int64 `json:"done,omitempty"`

	// Over is set in the boundary of one sign-in: its session was ended.
	Over bool `json:"over,omitempty"`
}

// spares reports whether the session of a sign-in is spared.
func (b *boundary) spares(in signin.SignIn) bool {
	return in.Line != "" && slices.Contains(b.Spared, in.Line) || in.Mark != "" && slices.Contains(b.Spared, in.Mark)
}

const (
	boundaryKind    = "boundary"
	boundaryName    = value.OwnPrefix + "boundary"
	boundaryPurpose = "sessionkit boundary, version 1"

	// boundaryFor is how long a boundary is kept, and successorFor how long in a store to
	// which [Migrate] moves sessions: what has yet to move may be as old as any cookie, which
	// browsers keep for 400 days (RFC 6265bis section 5.5).
	boundaryFor  = 31 * 24 * time.Hour
	successorFor = 401 * 24 * time.Hour

	// overFor is how long the boundary of one sign-in is kept: as long as the trace that led
	// to it, and longer than any step takes that gives a session another ID.
	overFor = Retention
)

// boundaryID returns the ID of the boundary of a user's sessions, of those of one
// name or, if that is "", of all. No token has it: it is the hash of a text that
// is none.
func boundaryID(user, name string) string {
	var room [256]byte
	text := append(room[:0], boundaryPurpose+": "...)
	text = append(strconv.AppendInt(text, int64(len(name)), 10), ':')
	text = append(append(append(text, name...), ": "...), user...)
	return tokens.Hash(text)
}

// lineBoundaryID returns the ID of the boundary of the sign-in that has a line.
func lineBoundaryID(line string) string {
	var room [128]byte
	return tokens.Hash(append(append(room[:0], boundaryPurpose+", sign-in: "...), line...))
}

// everyoneID is the ID of the boundary of everyone's sessions.
var everyoneID = boundaryID("", "")

// stored is a boundary and the text under which it is stored, "" if it is not.
type stored struct {
	boundary

	text string
}

func readBoundary(text string) (stored, error) {
	s := stored{text: text}
	if text == "" {
		return s, nil
	}
	v, _ := value.Decode(text)
	if j, ok := v.(value.JSON); !ok || json.Unmarshal([]byte(j), &s.boundary) != nil {
		return stored{}, fmt.Errorf("store: reading what was ended of a user's sessions: %w", ErrCorrupt)
	}
	return s, nil
}

// errBoundaryEnded is the error of a boundary that cannot be moved: its record is there,
// and not live. The store ends none, and no backend may. It is not replaced: of two that
// do so at a time, one could delete what the other has noted, and what that should have
// ended would stand.
var errBoundaryEnded = fmt.Errorf("its record was ended by something other than the store; delete it: %w", ErrCorrupt)

// moveBoundary applies a change to the boundary with an ID, as one step. The change gets the
// time of the backend's clock.
func (s *Store) moveBoundary(ctx context.Context, id string, change func(b *boundary, now time.Time) error) error {
	return s.changeBoundary(ctx, id, func(b *boundary) error {
		now, err := s.now(ctx, id)
		if err != nil {
			return err
		}
		return change(b, now)
	})
}

// changeBoundary is moveBoundary for a change that needs no time.
func (s *Store) changeBoundary(ctx context.Context, id string, change func(b *boundary) error) error {
	records, err := s.loadFresh(ctx, id)
	if err != nil {
		return err
	}
	const (
		most  = 10_000 // each time, another call has moved it
		ended = 10     // in a row: it may be removed between two steps
	)
	text, dead := records[id].Values[boundaryName], 0
	for range most {
		if err := ctx.Err(); err != nil { // not all backends look
			return wrap("noting what is ended", err)
		}
		b, err := readBoundary(text)
		if err != nil {
			return err
		}
		next := b.boundary
		if err := change(&next); err != nil {
			return err
		}
		outcome, err := s.putBoundary(ctx, id, next, text)
		if outcome.Changed() || err != nil {
			return err
		}
		if dead++; outcome.Found || text != "" {
			dead = 0
		}
		if dead == ended {
			return wrap("noting what is ended", errBoundaryEnded)
		}
		text = outcome.Text
	}
	return wrap("noting what is ended", errTooOften)
}

var errTooOften = errors.New("others have noted something each time")

// putBoundary stores a boundary in place of the one with the given text. If that
// does not stand any more, the outcome has the text that does. If it is not found, and
// the text is "", the ID is taken by a record that is not live.
func (s *Store) putBoundary(ctx context.Context, id string, b boundary, text string) (Outcome, error) {
	j, _ := json.Marshal(b) // its fields all encode
	next, _ := value.Encode(value.JSON(j))
	values := map[string]string{boundaryName: next}
	now := time.Now()
	expires := now.Add(boundaryFor)
	switch {
	case b.Over:
		expires = now.Add(overFor)
	case s.successor.Load():
		expires = now.Add(successorFor)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if text == "" {
		created, err := s.backend.Create(ctx, id, Record{Kind: boundaryKind, Created: now, Seen: now, Expires: expires, Values: values})
		if created || err != nil {
			return Outcome{Found: created}, wrap("noting what is ended", err)
		}
	}
	outcome, err := s.backend.Update(ctx, id, Change{Set: values, Expires: expires, If: &Condition{Name: boundaryName, Text: text}})
	return outcome, wrap("noting what is ended", err)
}

// boundaries are those that concern a session: that of everyone's sessions, that of all of
// its user's, that of those of its name, and that of its own sign-in.
type boundaries [4]stored

// ofName is the place of the boundary of a user's sessions of one name.
const ofName = 2

// boundaryIDs returns the IDs of the boundaries, without that of a sign-in if it has no line.
func boundaryIDs(user, name, line string) []string {
	ids := append(make([]string, 0, len(boundaries{})), everyoneID, boundaryID(user, ""), boundaryID(user, name))
	if line != "" {
		ids = append(ids, lineBoundaryID(line))
	}
	return ids
}

func (s *Store) boundaries(ctx context.Context, user, name, line string) (b boundaries, err error) {
	return s.loadBoundaries(ctx, boundaryIDs(user, name, line))
}

func (s *Store) loadBoundaries(ctx context.Context, ids []string) (b boundaries, err error) {
	records, err := s.loadFresh(ctx, ids...)
	if err != nil || len(records) == 0 {
		return b, err
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = records[id].Values[boundaryName]
	}
	return readBoundaries(texts)
}

func readBoundaries(texts []string) (b boundaries, err error) {
	for i := 0; i < len(texts) && err == nil; i++ {
		b[i], err = readBoundary(texts[i])
	}
	return b, err
}

// none reports whether no boundary was ever moved.
func (b boundaries) none() bool {
	return !slices.ContainsFunc(b[:], func(s stored) bool { return s.text != "" })
}

// epoch is what a sign-in notes of the boundaries, "" if none was ever moved.
func (b boundaries) epoch() string {
	epoch := b[0].Epoch + "." + b[1].Epoch + "." + b[2].Epoch
	return strings.TrimRight(epoch, ".")
}

// noted returns the epoch of each boundary. That of a sign-in has none.
func noted(epoch string) (each [len(boundaries{})]string) {
	copy(each[:], strings.Split(epoch, "."))
	return each
}

// ends reports whether a session of that sign-in, to which they belong, has been ended.
func (b boundaries) ends(in signin.SignIn) bool {
	for i, noted := range noted(in.Epoch) {
		if b[i].Over || b[i].Epoch != "" && b[i].Epoch != noted && !b[i].spares(in) {
			return true
		}
	}
	return false
}

// overtaken reports whether sessions of the user were ended since a sign-in was
// begun, so that it should not stand.
func (s *Store) overtaken(ctx context.Context, user, name string, b boundaries, in signin.SignIn, a signin.Attempt) (bool, error) {
	for i, noted := range noted(a.Epoch) {
		if b[i].Over {
			return true, nil
		}
		if b[i].Epoch == "" || b[i].spares(in) || a.Noted && b[i].Epoch == noted {
			continue
		}
		if a.Noted {
			return true, nil
		}
		since, err := s.movedSince(ctx, boundaryIDs(user, name, "")[i], b[i].At, a.Began)
		if since || err != nil {
			return since, err
		}
	}
	return false, nil
}

// endsVisitor reports whether a visitor's session that began to be given a new ID at a
// time of this process's clock is one of those that everyone's boundary ends. If the walk
// was over by then, it is none of them. If not, the walk may have passed its new ID before
// it came there.
func (s *Store) endsVisitor(ctx context.Context, b boundaries, r Record, began time.Time) (bool, error) {
	everyone := b[0]
	if everyone.Epoch == "" || r.Created.After(time.UnixMicro(everyone.At).Add(clockSkew)) {
		return false, nil
	}
	if everyone.Done == 0 {
		return true, nil
	}
	return s.movedSince(ctx, everyoneID, everyone.Done, began)
}

// movedSince reports whether a boundary was moved, at a time of the backend's
// clock, after something began by the clock of this process. The two may differ by
// any time: it is enclosed by what passes here while the backend tells its own.
func (s *Store) movedSince(ctx context.Context, id string, at int64, began time.Time) (bool, error) {
	const (
		tries     = 100 // on a busy machine answers take longer than what they are to tell apart
		precision = 2 * time.Microsecond
		stepped   = time.Minute // the backend's clock was put back
	)
	moved := time.UnixMicro(at)
	var earliest, latest time.Time // when the request began, by the backend's clock
	for range tries {
		sent := time.Since(began)
		now, err := s.now(ctx, id)
		if err != nil {
			return false, err
		}
		answered := time.Since(began)
		if from := now.Add(-answered); from.After(earliest) {
			earliest = from
		}
		if to := now.Add(-sent); latest.IsZero() || to.Before(latest) {
			latest = to
		}
		switch {
		case moved.Before(earliest.Add(-precision)), moved.After(now.Add(stepped)):
			return false, nil
		case !moved.Before(latest):
			return true, nil
		}
	}
	return true, nil // too close to tell
}

func (s *Store) now(ctx context.Context, id string) (time.Time, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	now, err := s.backend.Now(ctx, id)
	return now, wrap("reading the clock", err)
}

func newEpoch() string { return rand.Text() }

package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
)

// live reports whether the record is a session that has neither ended nor expired.
func (r Record) live() bool {
	return r.Kind == "" && r.Ended == "" && time.Now().Before(r.Expires)
}

// Sessions returns the live sessions of a user, the latest sign-in first, whatever
// their names. The empty user has none. A session whose life was shortened by the Options of
// sessions.Default(c), or by a stricter Config, is among them until it would have expired
// otherwise, although nothing opens it any more.
func (s *Store) Sessions(ctx context.Context, user string) ([]Session, error) {
	return s.sessions(ctx, user, "")
}

// sessions is Sessions among those of a name, all if that is "".
func (s *Store) sessions(ctx context.Context, user, name string) ([]Session, error) {
	records, err := s.list(ctx, user, name)
	if err == nil {
		err = s.withBindings(ctx, records)
	}
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

// list returns the live sessions of a user: those of one name and those made
// before names were kept, or all if name is "".
func (s *Store) list(ctx context.Context, user, name string) (map[string]Record, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.listUser(ctx, user, name)
}

func (s *Store) listUser(ctx context.Context, user, name string) (map[string]Record, error) {
	if user == "" {
		return nil, nil
	}
	records, err := s.backend.List(ctx, user)
	if err != nil {
		return nil, wrap("listing a user's sessions", err)
	}
	live := make(map[string]Record, len(records))
	for id, r := range records {
		if r.live() && r.named(name) {
			live[id] = r
		}
	}
	return live, nil
}

// named reports whether the record is one of a name, if that is not "".
func (r Record) named(name string) bool { return name == "" || r.Name == "" || r.Name == name }

// patience is how many times the store's timeout a list may take of sessions that are to
// end.
const patience = 10

// listToEnd is list, where the boundary has been moved in order to end sessions, or could not
// be, for an error. A user may have so many that no server lists them within the store's
// timeout, and those must end too: a server that has just moved the boundary, and then takes
// its time, is waited for. A backend that bounds itself has no such limit for the whole list.
func (s *Store) listToEnd(ctx context.Context, user, name string, moveErr error) (map[string]Record, error) {
	if moveErr != nil {
		return s.list(ctx, user, name)
	}
	bounded, cancel := s.bound(ctx)
	defer cancel()
	records, err := s.listUser(bounded, user, name)
	if err == nil || ctx.Err() != nil || !errors.Is(bounded.Err(), context.DeadlineExceeded) { // drivers have errors of their own for that
		return records, err
	}
	longer, cancel := context.WithTimeout(ctx, patience*s.config.Timeout)
	defer cancel()
	return s.listUser(longer, user, name)
}

// findToEnd returns the IDs of all that have the line of a sign-in, which are to end: see listToEnd.
func (s *Store) findToEnd(ctx context.Context, user, line string, moveErr error) (ids []string, err error) {
	records, err := s.listToEnd(ctx, user, "", moveErr)
	return withLine(records, line), err
}

// find returns the live session of user that has the line of a sign-in, "" if
// there is none. While one moves there are several: its mark names the one that stays, unless that has
// been renewed since.
func (s *Store) find(ctx context.Context, user, line string) (string, Record, error) {
	if line == "" {
		return "", Record{}, nil
	}
	records, err := s.list(ctx, user, "")
	ids := withLine(records, line)
	if err != nil || len(ids) == 0 {
		return "", Record{}, err
	}
	id := slices.MaxFunc(ids, func(a, b string) int { return records[a].Since.Compare(records[b].Since) })
	if len(ids) > 1 {
		m, _, err := s.mark(ctx, records[id].signIn().Mark)
		if err != nil {
			return "", Record{}, err
		}
		if slices.Contains(ids, m.ID) {
			id = m.ID
		}
	}
	return id, records[id], nil
}

// withLine returns the IDs of those that have the line of a sign-in. There is one at most, unless it moves.
func withLine(records map[string]Record, line string) (ids []string) {
	for id, r := range records {
		if line != "" && r.signIn().Line == line {
			ids = append(ids, id)
		}
	}
	return ids
}

// endedAtOnce is how many sessions are ended in one step, which has the store's timeout.
const endedAtOnce = 200

// end ends sessions of a user, and returns the IDs of those that it ended.
func (s *Store) end(ctx context.Context, user string, why Ending, ids ...string) (ended []string, err error) {
	switch {
	case len(ids) == 0:
		return nil, nil
	case len(ids) <= endedAtOnce:
		return s.endSome(ctx, user, why, ids)
	}
	for some := range slices.Chunk(ids, endedAtOnce) {
		some, err := s.endSome(ctx, user, why, some)
		if ended = append(ended, some...); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

func (s *Store) endSome(ctx context.Context, user string, why Ending, ids []string) ([]string, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	ended, err := s.backend.End(ctx, user, why, ids...)
	return ended, wrap("ending a session", err)
}

// A waitingBackend is a [Backend] whose End may fail although the sessions have ended: they
// have not yet where its settings want them to.
type waitingBackend interface {
	// AwaitEnds waits until what has ended sessions of a user, or of anybody if that is
	// "", is there. The boundary with the given ID was moved before, and is on the same server.
	AwaitEnds(ctx context.Context, user, boundary string) error
}

// awaitEnds returns an error if what has ended sessions of a user, perhaps by an earlier
// call, is not yet where the backend's settings want it. A session that has ended is not
// listed, so that a second call finds nothing to end. The boundary with the given ID was
// moved before.
func (s *Store) awaitEnds(ctx context.Context, user, boundary string) error {
	waiting, ok := s.backend.(waitingBackend)
	if !ok {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return wrap("ending sessions", waiting.AwaitEnds(ctx, user, boundary))
}

// endSession ends the session that was found as r under id, also if it was given a
// new ID since. It reports whether there was anything left to end.
func (s *Store) endSession(ctx context.Context, id string, r Record, why Ending) (bool, error) {
	ended, err := s.end(ctx, r.User, why, id)
	if len(ended) > 0 || err != nil {
		return err == nil, err
	}
	if r.signIn().Line == "" {
		return false, nil
	}
	left, found, err := s.load(ctx, id, true)
	if err != nil || found && left.Ended != Renewed {
		return false, err // it has ended, or expired
	}
	return s.endRenewed(ctx, r, why)
}

// endRenewed ends the session that was found as r, and has another ID since, or is being
// given one after the other. From here on it gets no further one. On an error what is found
// ends all the same.
func (s *Store) endRenewed(ctx context.Context, r Record, why Ending) (bool, error) {
	line := r.signIn().Line
	own := lineBoundaryID(line)
	moveErr := s.changeBoundary(ctx, own, func(b *boundary) error {
		b.Over = true
		return nil
	})
	ids, err := s.findToEnd(ctx, r.User, line, moveErr)
	if err != nil {
		return false, errors.Join(moveErr, err)
	}
	if len(ids) == 0 {
		return false, errors.Join(moveErr, s.awaitEnds(ctx, r.User, own))
	}
	ended, err := s.end(ctx, r.User, why, ids...)
	return len(ended) > 0, errors.Join(moveErr, err)
}

// Revoke ends a session of user by its ID, also one that the session had before it
// was renewed within the last hour ([Retention]), or before [Migrate] moved it. A
// session that is gone already, or is another user's, is ignored, and so is an ID from before an
// earlier renewal or a visitor's sign-in, as an old page may show it. So before you tell anybody that
// the session has ended, look for the ID in [Store.Sessions], or for a visitor's in [Store.All].
// For the empty user it ends a visitor's.
func (s *Store) Revoke(ctx context.Context, user, id string) error {
	_, _, err := s.revoke(ctx, user, "", strings.Clone(id), "") // it may be a part of a form, and the backend keeps it
	return err
}

// revoke is Revoke among the sessions of a name, all if that is "", but for the one that has the
// line of a sign-in, if it is not "". It reports whether it ended one, or that it is that one.
func (s *Store) revoke(ctx context.Context, user, name, id, line string) (ended, spared bool, err error) {
	r, found, err := s.load(ctx, id, true)
	if err == nil && r.Kind == markKind {
		id, r, found, err = s.findMoved(ctx, id, r)
	}
	if err != nil || !found || r.Kind != "" || r.User != user || name != "" && r.Name != "" && r.Name != name {
		return false, false, err
	}
	if line != "" && r.signIn().Line == line {
		return false, true, nil
	}
	ended, err = s.endSession(ctx, id, r, Revoked)
	return ended, false, err
}

// RevokeAll ends all sessions of user, of all names, but those with an ID in except,
// also one that has yet to move (see [Migrate]), and returns how many it ended. A sign-in
// of that user that is under way, in a request that began before, leaves no session
// either: its response is a 503. A handler that signs the user in after RevokeAll, in the same request, therefore
// passes sessionkit.Attempt to Login, or calls sessionkit.LogoutEverywhere instead.
//
// For a changed password: store the new one first, then call RevokeAll.
//
// On an error it may have ended some of them. A second call ends the others.
func (s *Store) RevokeAll(ctx context.Context, user string, except ...string) (int, error) {
	var spared []string
	for _, id := range except {
		if id == "" { // the caller has no session yet
			continue
		}
		id = strings.Clone(id) // as in Revoke
		r, found, err := s.load(ctx, id, true)
		if err != nil {
			return 0, err
		}
		if !found || r.Kind == markKind { // it has yet to move, or had when the ID was told: see Migrate
			spared = append(spared, id)
		} else if line := r.signIn().Line; line != "" {
			spared = append(spared, line)
		}
	}
	ended, _, err := s.revokeAll(ctx, user, "", nil, except, spared)
	return len(ended), err
}

// revokeAll ends all sessions of a user, those of one name or all if that is "",
// and returns what it ended, and the epoch of the boundary that it has moved. It does not end
// those that have one of the IDs in except, or a line or mark in spared. check may refuse by an
// error before anything is ended. If the boundary cannot be moved for another reason, what is
// listed ends all the same.
func (s *Store) revokeAll(
	ctx context.Context, user, name string, check func(*boundary) error, except, spared []string,
) (ended []Session, epoch string, err error) {
	if user == "" {
		return nil, "", nil
	}
	epoch = newEpoch()
	own, checked := boundaryID(user, name), check == nil
	moveErr := s.moveBoundary(ctx, own, func(b *boundary, now time.Time) error {
		if check != nil {
			err := check(b)
			if checked = err == nil; !checked {
				return err
			}
		}
		b.Epoch, b.Spared, b.At = epoch, spared, now.UnixMicro()
		return nil
	})
	if !checked {
		return nil, "", moveErr
	}
	records, err := s.listToEnd(ctx, user, name, moveErr)
	if err != nil {
		return nil, epoch, errors.Join(moveErr, err)
	}
	var ids []string
	for id, r := range records {
		if !slices.Contains(except, id) && !(&boundary{Spared: spared}).spares(r.signIn()) {
			ids = append(ids, id)
		}
	}
	ids, err = s.end(ctx, user, Revoked, ids...)
	for _, id := range ids {
		ended = append(ended, records[id].Session(id))
	}
	if err == nil {
		err = s.awaitEnds(ctx, user, own)
	}
	return ended, epoch, errors.Join(moveErr, err)
}

// revokeOthers ends all sessions of a user under a name but the one with the given
// ID and sign-in. The error is [ErrEnded], and nothing is ended, if that one was ended
// itself, unless force is set. If a has a SignIn, that one is not stored yet: it must not
// have been overtaken since the attempt began. If id is "", it has yet to move here from
// another store, and only its sign-in counts.
//
// after is the attempt of a sign-in that follows in the same request: it is later than
// this, but if a was overtaken by what others have ended, so is after.
func (s *Store) revokeOthers(
	ctx context.Context, user, name, id string, in signin.SignIn, a signin.Attempt, force bool,
) (ended []Session, after signin.Attempt, err error) {
	b, err := s.boundaries(ctx, user, name, in.Line)
	if err != nil {
		return nil, a, err
	}
	own := &b[ofName].boundary
	var late bool
	check := func(now *boundary) (err error) {
		*own = *now
		if late, err = s.overtaken(ctx, user, name, b, in, a); err != nil || force {
			return err
		}
		ended := a.SignIn != nil && late || a.SignIn == nil && b.ends(in)
		if !ended && a.SignIn == nil && id != "" { // it may have been ended alone
			ended, err = s.endedAlone(ctx, user, id, in)
		}
		if ended && err == nil {
			err = ErrEnded
		}
		return err
	}
	spared := []string{in.Line}
	if in.Mark != "" { // another request may be moving the session, with a line of its own
		spared = append(spared, in.Mark)
	}
	ended, own.Epoch, err = s.revokeAll(ctx, user, name, check, []string{id}, spared)
	if err == nil && !late {
		a.Noted, a.Epoch = true, b.epoch()
	}
	return ended, a, err
}

// endedAlone reports whether a session of user, which was loaded under id, has been ended
// since, under that ID or one that it was given later. One that has expired was not.
func (s *Store) endedAlone(ctx context.Context, user, id string, in signin.SignIn) (bool, error) {
	r, found, err := s.load(ctx, id, true)
	switch {
	case err != nil || found && r.Ended == "":
		return false, err
	case found && r.Ended != Renewed:
		return true, nil
	case found && in.Line == "": // nothing leads to its other ID
		return false, nil
	}
	now, err := s.findToEnd(ctx, user, in.Line, nil)
	return len(now) == 0, err
}

// trim ends the oldest sign-ins of user under a name until limit of them live, and
// returns the IDs of those that it ended. Sign-ins that run at the same time may
// each call it: limit of them are left. Of sessions that [Migrate] has moved it may be that
// nobody knows when they were signed in: those are older than all others, and the one that
// moved first is the oldest of them.
func (s *Store) trim(ctx context.Context, user, name string, limit int) ([]string, error) {
	records, err := s.list(ctx, user, name)
	if err != nil || len(records) <= limit {
		return nil, err
	}
	ids := slices.SortedFunc(maps.Keys(records), func(a, b string) int {
		one, other := records[a], records[b]
		return cmp.Or(cmp.Compare(other.signIn().Order(), one.signIn().Order()), other.Created.Compare(one.Created), cmp.Compare(b, a))
	})
	kept := make(map[string]bool, limit)
	var old []string // many, if the limit is new
	for _, id := range ids {
		line := cmp.Or(records[id].signIn().Line, id) // of one sign-in there are several while it moves
		if len(kept) < limit {
			kept[line] = true
		}
		if !kept[line] {
			old = append(old, id)
		}
	}
	ended, err := s.end(ctx, user, Revoked, old...)
	if err != nil || len(ended) == len(old) {
		return ended, err
	}
	done := make(map[string]bool, len(ended))
	for _, id := range ended {
		done[id] = true
	}
	left := slices.DeleteFunc(slices.Clone(old), func(id string) bool { return done[id] || records[id].signIn().Line == "" })
	now, err := s.loadAll(ctx, left)
	if err != nil {
		return ended, err
	}
	for _, id := range left {
		if r, found := now[id]; found && r.Ended != Renewed { // as in endSession
			continue
		}
		found, err := s.endRenewed(ctx, records[id], Revoked)
		if err != nil {
			return ended, err
		}
		if found {
			ended = append(ended, id)
		}
	}
	return ended, nil
}

// inTurn gives a sign-in its place behind those of the user's sessions, whatever
// the clocks that made them said. If they cannot be read, its own clock will do.
func (s *Store) inTurn(ctx context.Context, user, name string, in signin.SignIn) signin.SignIn {
	records, _ := s.list(ctx, user, name)
	for _, r := range records {
		if other := r.signIn(); other.Line != in.Line && other.Order() >= in.Order() {
			in.Turn = other.Order() + 1
		}
	}
	return in
}

package sessionkit

import (
	"errors"
	"fmt"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/keeper"
	"github.com/gin-sessionkit/sessionkit/store"
)

// updateValue replaces the text of a value by what f makes of it, as one step. f is
// called without the lock, so that it may use the session.
func (q *request) updateValue(c *gin.Context, name string, f func(text string) (string, error)) error {
	inTurn := false
	for try := 0; ; try++ {
		before, id, err := q.textToUpdate(c, name)
		if err != nil {
			return err
		}
		if id != "" && !inTurn && (try > 0 || q.kit.turns.Busy(id)) && q.inTurn.CompareAndSwap(false, true) {
			inTurn = true
			pass := q.kit.turns.Take(q.r.Context(), id)
			defer func() {
				pass()
				q.inTurn.Store(false)
			}()
		}
		next, err := f(before)
		if err != nil {
			return err
		}
		done, err := q.swapValue(c, name, before, next, try)
		if done || err != nil {
			return err
		}
	}
}

// mostRetries is how often f is called again because this request itself has changed the
// value meanwhile: in a goroutine, or in f.
const mostRetries = 100

// textToUpdate returns the text of a value, "" if there is none, and the ID of its
// session, "" if that is not stored yet.
func (q *request) textToUpdate(c *gin.Context, name string) (text, id string, err error) {
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.unreadable("Update") {
		return "", "", q.loadErr
	}
	q.syncView()
	text, _ = q.session.Text(name)
	return text, q.session.ID(), nil
}

// swapValue puts a text in place of another one. It reports false if that does not
// stand any more. If it is f that changes it each time, what f returns counts in the end.
func (q *request) swapValue(c *gin.Context, name, before, next string, try int) (done bool, err error) {
	q.lock()
	defer q.unlock(c)
	q.syncView()
	defer q.refreshView()
	ready, err := q.atOnce() // if that moves the session, another request may have changed it there
	if text, _ := q.session.Text(name); err == nil && text != before && try < mostRetries {
		return false, nil
	}
	if err == nil && !ready {
		if q.session.ID() == "" || q.session.Ending() || q.handle.NeedsCookie() {
			err = q.refuseLate(fmt.Sprintf("updating %q", name))
		}
		if err == nil {
			q.put(name, next)
		}
	}
	if !ready || err != nil {
		return true, err
	}
	change := store.Change{Set: map[string]string{name: next}}
	if stands, own := q.session.StoredText(name); !own {
		change.If = &store.Condition{Name: name, Text: stands}
	}
	outcome, err := q.changeAtOnce(change)
	switch {
	case err != nil:
		return true, err
	case outcome.Conflict:
		q.session.Stands(name, outcome.Text)
		return false, nil
	case !outcome.Found:
		return true, store.ErrEnded
	}
	q.session.StoredAlone(name, change)
	return true, nil
}

// takeValue removes a value and returns its text, as one step: "" if it is not there,
// or another request was faster.
func (q *request) takeValue(name string) string {
	q.syncView()
	defer q.refreshView()
	for again := false; ; again = true {
		text, _ := q.session.Text(name)
		_, own := q.session.StoredText(name)
		if text == "" {
			if own || again || !q.lookAgain() {
				return ""
			}
			continue
		}
		ready, err := q.atOnce()
		switch {
		case err != nil:
			return ""
		case !ready || own:
			q.remove(name)
			return text
		}
		outcome, err := q.changeAtOnce(store.Change{Delete: []string{name}, If: &store.Condition{Name: name, Text: text}})
		switch {
		case err != nil || !outcome.Found:
			return ""
		case outcome.Conflict:
			q.session.Stands(name, outcome.Text)
		default:
			q.session.Stands(name, "")
			return text
		}
	}
}

// takeValues removes all values whose names begin with prefix and returns their texts, as
// one step. Each of them was put together with a new text of latest, so they are all there
// are as long as that one stands.
func (q *request) takeValues(prefix, latest string) map[string]string {
	q.syncView()
	defer q.refreshView()
	if q.writer.Begun() && !q.session.HasStored(prefix) { // this request may have put some itself
		q.lookAgain()
	}
	for range mostRenewals {
		ready, err := q.atOnce()
		if err != nil {
			return nil
		}
		texts := q.session.WithPrefix(prefix)
		change := store.Change{If: &store.Condition{Name: latest, Text: q.session.Base()[latest]}}
		for name := range texts {
			if _, stored := q.session.Base()[name]; stored {
				change.Delete = append(change.Delete, name)
			}
		}
		if ready && len(change.Delete) > 0 {
			change.Delete = append(change.Delete, latest)
			outcome, err := q.changeAtOnce(change)
			if err != nil || !outcome.Found || outcome.Conflict && !q.reread() {
				return nil
			}
			if outcome.Conflict {
				continue
			}
			q.session.Removed(change.Delete)
		}
		q.removeAll(texts) // what this request has put, and the store does not have
		q.remove(latest)
		return texts
	}
	return nil
}

// lookAgain loads the values again once the response has begun: a stream has loaded them when
// it began, perhaps hours ago. It reports whether it has.
func (q *request) lookAgain() bool {
	return q.writer.Begun() && q.writer.Failed == nil && !q.closed && q.session.ID() != "" && !q.session.Ending() &&
		q.handle.OneByOne() && !q.handle.ToMove() && q.reread()
}

// reread loads the values again of a session that others have changed. It reports false
// if it has ended, or the store failed.
func (q *request) reread() bool {
	k, err := q.kit.keeper.Load(q.r, q.handle.Cookie, true)
	found := err == nil && k.ID == q.session.ID() && k.Record.Ended == ""
	if err == nil && !found {
		k, found, err = q.kit.keeper.Follow(q.r, q.kept())
	}
	if err != nil {
		_ = q.failedAtOnce(err) // it is reported
		return false
	}
	if found {
		q.takeOver(k)
	}
	return found
}

// takeOver goes on with the session as another request has left it. If that has given it
// a new ID, it has sent the cookie as well, and nobody else can.
func (q *request) takeOver(k keeper.Kept) {
	q.session.Reread(k.Stored)
	q.handle = k.Handle
}

// atOnce reports whether a value can be changed in the store now, rather than by the
// commit. A session that is to be moved from another store moves first.
func (q *request) atOnce() (bool, error) {
	switch {
	case q.session.ID() == "" || q.session.Ending() || !q.handle.OneByOne():
		return false, nil
	case q.closed:
		q.changed()
		return false, errors.New("the request has ended")
	case !q.handle.ToMove():
		return true, nil
	case q.handle.IsText(): // it moves into another session for each request
		return false, nil
	}
	if err := q.move(); err != nil {
		q.refuse(err)
		return false, err
	}
	return true, nil
}

// refuseLate returns an error, which is reported, if no commit can save a change any more that
// needs a cookie, as there is no session: the header has gone out, or the request has ended.
func (q *request) refuseLate(call string) error {
	switch {
	case q.closed:
		q.changed()
		return errTooLate
	case q.writer.TakesCookie():
		return nil
	case q.writer.Failed != nil: // the client has been told
		return q.writer.Failed
	}
	err := q.canSendCookie(false)
	q.saveErr = fmt.Errorf("sessionkit: %s: %w", call, err)
	if q.tooLate < mostTooLate {
		q.tooLate++
		q.report(q.saveErr)
	}
	return err
}

// move moves the session from the other store as it is there. What the request has changed
// is the commit's to store: the handler may yet panic.
func (q *request) move() error {
	if err := q.canSendCookie(!q.writer.Begun()); err != nil {
		return err
	}
	stored := q.session.Stored()
	change := q.session.SeenAlone(store.Change{}, &stored.Record, time.Now())
	k, outcome, err := q.kit.keeper.Update(q.r, q.kept(), change)
	if err != nil {
		return err
	}
	if !outcome.Found { // another request has moved it, and given it a new ID
		k, found, err := q.kit.keeper.Follow(q.r, q.kept())
		if err == nil && !found {
			err = store.ErrEnded
		}
		if err == nil {
			q.takeOver(k)
		}
		return err
	}
	q.session.Moved(k.Stored, change)
	q.goOn(k.Handle)
	return nil
}

// changeAtOnce makes a change in the store now. If another request has given the
// session a new ID, the change is made there.
func (q *request) changeAtOnce(change store.Change) (outcome store.Outcome, err error) {
	var renews bool
	for tries := 0; ; tries++ {
		stored := q.session.Stored()
		change = q.session.SeenAlone(change, &stored.Record, time.Now())
		if renews = q.session.RenewsCookie(change); renews { // the commit sends it, if there is one
			change = q.session.CookieSent(change, false)
		}
		outcome, err = q.changeOnce(change)
		if err != nil || outcome.Found || tries == mostRenewals {
			break
		}
		k, found, err := q.kit.keeper.Follow(q.r, q.kept())
		if err != nil || !found {
			return store.Outcome{}, q.failedAtOnce(err)
		}
		q.takeOver(k)
	}
	if err == nil && outcome.Changed() {
		q.session.Recorded(change)
		if renews && !q.writer.Begun() {
			q.session.OwesCookie()
		}
	}
	return outcome, q.failedAtOnce(err)
}

func (q *request) changeOnce(change store.Change) (store.Outcome, error) {
	held := q.kept()
	held.Record.Values = q.session.Base()
	_, outcome, err := q.kit.keeper.Update(q.r, held, change)
	return outcome, err
}

// failedAtOnce notes that the store failed: the response becomes a 503, unless it has begun.
// What is too large is the caller's to handle.
func (q *request) failedAtOnce(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrTooLarge) {
		return err
	}
	q.report(fmt.Errorf("sessionkit: changing a value: %w", err))
	if q.writer.Begun() { // a stream goes on, and what it changes when the store is back is saved
		q.saveErr = err
		return err
	}
	q.bad, q.reported = errors.Join(q.bad, err), true
	return err
}

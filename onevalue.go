package sessionkit

import (
	"errors"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// updateValue replaces the text of a value by what f makes of it, as one step. f is
// called without the lock, so that it may use the session.
func (q *request) updateValue(c *gin.Context, name string, f func(text string) (string, error)) error {
	inTurn := false
	for try := 0; ; try++ {
		before, t, err := q.textToUpdate(c, name)
		if err != nil {
			return err
		}
		if t != nil && !inTurn && (try > 0 || t.busy()) && q.inTurn.CompareAndSwap(false, true) {
			inTurn = true
			pass := t.take(q.r.Context())
			defer func() {
				pass()
				q.inTurn.Store(false)
			}()
		}
		next, err := f(before)
		if err != nil {
			return err
		}
		done, err := q.swapValue(c, name, before, next)
		if done || err != nil {
			return err
		}
	}
}

// textToUpdate returns the text of a value, "" if there is none, and the turn of its
// session, nil if that is not stored yet.
func (q *request) textToUpdate(c *gin.Context, name string) (string, *turn, error) {
	q.lock()
	defer q.unlock(c)
	q.load(false)
	if q.loadErr != nil {
		q.unreadable("Update")
		return "", nil, q.loadErr
	}
	q.syncView()
	text, _ := q.text(name)
	if q.old.id == "" {
		return text, nil, nil
	}
	return text, q.kit.turns.of(q.old.id), nil
}

// swapValue puts a text in place of another one. It reports false if that does not
// stand any more.
func (q *request) swapValue(c *gin.Context, name, before, next string) (done bool, err error) {
	q.lock()
	defer q.unlock(c)
	if text, _ := q.text(name); text != before { // by a goroutine of this request
		return false, nil
	}
	defer q.refreshView()
	if ready, err := q.atOnce(); !ready || err != nil {
		if err == nil {
			q.put(name, next)
		}
		return true, err
	}
	change := store.Change{Set: map[string]string{name: next}}
	if stands, own := q.standing(name); !own {
		change.If = &store.Condition{Name: name, Text: stands}
	}
	outcome, err := q.changeAtOnce(change)
	switch {
	case err != nil:
		return true, err
	case outcome.Conflict:
		q.stands(name, outcome.Text)
		return false, nil
	case !outcome.Found:
		return true, store.ErrEnded
	}
	q.stored(name, change)
	return true, nil
}

// takeValue removes a value and returns its text, as one step: "" if it is not there,
// or another request was faster.
func (q *request) takeValue(name string) string {
	q.syncView()
	defer q.refreshView()
	for {
		text, _ := q.text(name)
		if text == "" {
			return ""
		}
		_, own := q.standing(name)
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
			q.stands(name, outcome.Text)
		default:
			q.stands(name, "")
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
	for range mostRenewals {
		ready, err := q.atOnce()
		if err != nil {
			return nil
		}
		texts := q.withPrefix(prefix)
		change := store.Change{If: &store.Condition{Name: latest, Text: q.base[latest]}}
		for name := range texts {
			if _, stored := q.base[name]; stored {
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
			q.base = value.Apply(q.base, nil, change.Delete)
			q.old.record.Values = q.base
		}
		q.removeAll(texts) // what this request has put, and the store does not have
		q.remove(latest)
		return texts
	}
	return nil
}

// reread loads the values again of a session that others have changed. It reports false
// if it has ended, or the store failed.
func (q *request) reread() bool {
	k, err := q.kit.keeper.load(q.r, q.old.cookie, true)
	found := err == nil && k.id == q.old.id && k.record.Ended == ""
	if err == nil && !found {
		k, found, err = q.kit.keeper.follow(q.r, q.old)
	}
	if err != nil {
		_ = q.failedAtOnce(err) // it is reported
		return false
	}
	if found {
		q.goOnWith(k)
	}
	return found
}

// goOnWith takes over a session as another request has left it.
func (q *request) goOnWith(k kept) {
	q.old.id, q.old.record, q.base, q.signIn = k.id, k.record, k.record.Values, nil
}

// standing returns the text of a value as the store had it, and whether this request
// has changed it since.
func (q *request) standing(name string) (text string, own bool) {
	q.settle()
	text = q.base[name]
	now, _ := q.text(name)
	return text, now != text
}

// stored notes that a value has been put into the store, alone, by a change.
func (q *request) stored(name string, change store.Change) {
	if !q.unsaved() && len(q.drop) == 0 && len(q.set) == 0 {
		// As after a commit: most requests are about to end, and need no copy of the
		// values.
		q.set, q.saved = change.Set, true
		return
	}
	q.stands(name, change.Set[name])
}

// stands notes that a value has a text in the store, "" if it is not there.
func (q *request) stands(name, text string) {
	q.settle()
	delete(q.set, name)
	q.undrop(name)
	if text == "" {
		q.base = value.Apply(q.base, nil, []string{name})
	} else {
		q.base = value.Apply(q.base, map[string]string{name: text}, nil)
	}
	q.old.record.Values = q.base
}

// atOnce reports whether a value can be changed in the store now, rather than by the
// commit. A session that is to be moved from another store moves first.
func (q *request) atOnce() (bool, error) {
	switch {
	case q.old.id == "" || q.ending || q.old.foreign != nil:
		return false, nil
	case q.closed:
		q.changed()
		return false, errors.New("the request has ended")
	case q.old.old == nil:
		return true, nil
	}
	if err := q.update(!q.writer.sent); err != nil {
		q.refuse(err)
		return false, err
	}
	return true, nil
}

// changeAtOnce makes a change in the store now. If another request has given the
// session a new ID, the change is made there.
func (q *request) changeAtOnce(change store.Change) (outcome store.Outcome, err error) {
	change = q.seenBy(change)
	followed := false
	for tries := 0; ; tries++ {
		outcome, err = q.changeOnce(change)
		if err != nil || outcome.Found || tries == mostRenewals {
			break
		}
		k, found, err := q.kit.keeper.follow(q.r, q.old)
		if err != nil || !found {
			return store.Outcome{}, q.failedAtOnce(err)
		}
		q.goOnWith(k)
		followed = true
	}
	if err == nil && outcome.Changed() {
		renews := !followed && !change.Seen.IsZero() && q.life().renewsCookie(&q.old.record, change.Seen)
		q.seen(change)
		q.sends = q.sends || renews && !q.writer.sent // the commit will find the use recorded
	}
	return outcome, q.failedAtOnce(err)
}

func (q *request) changeOnce(change store.Change) (store.Outcome, error) {
	held := q.old
	held.record.Values = q.base
	_, outcome, err := q.kit.keeper.update(q.r, held, change)
	return outcome, err
}

// failedAtOnce notes that the store failed: the response becomes a 503. What is too
// large is the caller's to handle.
func (q *request) failedAtOnce(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrTooLarge) {
		return err
	}
	q.report(fmt.Errorf("sessionkit: changing a value: %w", err))
	q.bad, q.reported = errors.Join(q.bad, err), true
	return err
}

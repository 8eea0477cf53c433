package keeper

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/address"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/gorilla"
	"github.com/gin-sessionkit/sessionkit/internal/session"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/storeerr"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// foreign keeps sessions in a store that knows sessions.Store and no more. The
// rules that need the store's help are beyond it: two requests that save at the
// same time overwrite each other, and over most stores one that saves after a
// logout brings the session back. docs/stores.md says what holds over which.
type foreign struct {
	store     sessions.Store
	name      string
	seenEvery time.Duration
}

// ledgerKey is the session value in which the middleware keeps what a record of its own
// stores has fields for.
const ledgerKey = value.OwnPrefix + "session"

// ledger is that value.
type ledger struct {
	ID      string    `json:"id"` // public handle
	User    string    `json:"user,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Expires time.Time `json:"expires"`
	// Own are sessionkit's other values, such as flash messages.
	Own map[string]string `json:"own,omitempty"`
}

func (f *foreign) Load(r *http.Request, sent string, _ bool) (Kept, error) {
	if len(sent) > cookie.MaxBytes { // no browser keeps one that long
		return Kept{}, nil
	}
	opened, err := gorilla.Open(f.store, r, f.name, sent)
	if err != nil {
		return Kept{}, f.judge(opened, err)
	}
	if opened.IsNew {
		return Kept{}, nil
	}
	l, ok := readLedger(opened)
	if !ok { // it was made by gin-contrib/sessions alone: it begins now, and is due to be marked as seen
		now := time.Now()
		l = ledger{ID: rand.Text(), Created: now, Seen: now.Add(-f.seenEvery), Expires: now.Add(store.Retention)}
	}
	values := make(map[string]string, len(opened.Values))
	for key, v := range opened.Values {
		name, nameErr := value.Name(key)
		text, err := value.Encode(v)
		if nameErr == nil && err == nil && key != ledgerKey {
			values[name] = text
		}
	}
	maps.Copy(values, l.Own)
	return Kept{
		Stored: session.Stored{ID: l.ID, Record: store.Record{User: l.User, Created: l.Created, Seen: l.Seen, Expires: l.Expires, Values: values}},
		Handle: Handle{Cookie: sent, foreign: opened},
	}, nil
}

// judge says what a store's error means: nil where there is no such session,
// [store.ErrCorrupt] where its record cannot be decoded, and else that the store
// could not tell.
func (f *foreign) judge(opened *gsessions.Session, err error) error {
	switch {
	case storeerr.Gone(err):
		return nil
	case !storeerr.Undecodable(err):
		return fmt.Errorf("%T: %w", f.store, err)
	case opened == nil || opened.ID == "": // it is the cookie
		return nil
	}
	return fmt.Errorf("%T: %w: %w", f.store, store.ErrCorrupt, err)
}

func readLedger(opened *gsessions.Session) (ledger, bool) {
	var l ledger
	text, _ := opened.Values[ledgerKey].(string)
	if text == "" || json.Unmarshal([]byte(text), &l) != nil {
		return ledger{}, false
	}
	return l, true
}

func (f *foreign) Create(r *http.Request, record store.Record, _ signin.Attempt) (Kept, error) {
	opened, err := gorilla.Open(f.store, r, f.name, "")
	if err != nil {
		return Kept{}, fmt.Errorf("%T: %w", f.store, err)
	}
	return f.write(r, opened, "", rand.Text(), record)
}

func (f *foreign) Update(r *http.Request, k Kept, change store.Change) (Kept, store.Outcome, error) {
	record := k.Record
	record.Values = value.Apply(record.Values, change.Set, change.Delete)
	if !change.Expires.IsZero() {
		record.Seen, record.Expires = change.Seen, change.Expires
	}
	for _, name := range change.Delete {
		if key, err := value.Key(name); err == nil {
			delete(k.foreign.Values, key)
		}
	}
	id := k.foreign.ID
	next, err := f.write(r, k.foreign, k.Cookie, k.ID, record)
	if err != nil {
		return Kept{}, store.Outcome{}, err
	}
	if next.foreign.ID != id { // it had ended, or was not found, and the store has begun another
		return Kept{}, store.Outcome{}, f.remove(r, next)
	}
	return next, store.Outcome{Found: true}, nil
}

func (f *foreign) Rotate(r *http.Request, k Kept, record store.Record, drop []string, _ signin.Attempt) (Kept, bool, error) {
	if now, err := f.Load(r, k.Cookie, true); err != nil || now.ID == "" {
		return Kept{}, false, err // what ended meanwhile does not go on under a new ID
	}
	opened, err := gorilla.Open(f.store, r, f.name, "")
	if err != nil {
		return Kept{}, false, fmt.Errorf("%T: %w", f.store, err)
	}
	maps.Copy(opened.Values, k.foreign.Values) // also what the middleware cannot read
	for _, name := range drop {
		if key, err := value.Key(name); err == nil {
			delete(opened.Values, key)
		}
	}
	changed := record.Values
	record.Values = value.Apply(k.Record.Values, changed, drop)
	next, err := f.write(r, opened, "", rand.Text(), record)
	if err != nil {
		return Kept{}, false, err
	}
	if _, err := f.End(r, k, store.Renewed); err != nil {
		return Kept{}, false, errors.Join(err, f.remove(r, next))
	}
	next.Record.Values = changed
	return next, true, nil
}

// Follow finds nothing: such a store does not know what became of a session.
func (f *foreign) Follow(*http.Request, Kept) (Kept, bool, error) { return Kept{}, false, nil }

// End writes an ended session over the stored one before it has that deleted. A
// store that cannot reach a session may take it for one that is not there, and
// then deletes nothing and says nothing; what is to be written it does miss.
func (f *foreign) End(r *http.Request, k Kept, _ store.Ending) (bool, error) {
	ended := *k.foreign
	ended.Values = make(map[any]any)
	next, err := f.write(r, &ended, k.Cookie, k.ID, store.Record{Expires: time.Now()})
	if err != nil {
		return false, err
	}
	_ = f.remove(r, next) // what is left opens nothing
	return ended.ID == k.foreign.ID, nil
}

// Abandon implements [Keeper].
func (f *foreign) Abandon(r *http.Request, k Kept) (bool, error) { return f.End(r, k, store.SignedOut) }

// remove has the store delete a session.
func (f *foreign) remove(r *http.Request, k Kept) error {
	k.foreign.Options = &gsessions.Options{Path: "/", MaxAge: -1}
	_, err := f.save(r, k.foreign, k.Cookie)
	return err
}

// Watch looks at the session once a second.
func (f *foreign) Watch(r *http.Request, k Kept) (<-chan struct{}, func()) {
	return watchByLoading(r, func(r *http.Request) (Kept, error) { return f.Load(r, k.Cookie, true) })
}

// watchByLoading looks at a session once a second. What load waits for ends with its request.
func watchByLoading(r *http.Request, load func(r *http.Request) (Kept, error)) (<-chan struct{}, func()) {
	ended := make(chan struct{})
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	r = r.WithContext(ctx) // a copy: the handler goes on to change its own
	go func() {
		defer close(ended)
		defer stop()
		for ctx.Err() == nil {
			timer := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
			now, err := load(r.WithContext(ctx))
			if err == nil && (now.ID == "" || !time.Now().Before(now.Record.Expires)) {
				return
			}
		}
	}()
	return ended, func() {
		stop()
		<-ended
	}
}

// write saves a session with the record's values, and returns it with its new
// cookie. old is the cookie that names it, "" for a new one.
func (f *foreign) write(r *http.Request, opened *gsessions.Session, old, id string, record store.Record) (Kept, error) {
	l := ledger{ID: id, User: record.User, Created: record.Created, Seen: record.Seen, Expires: record.Expires}
	for name, text := range record.Values {
		if value.IsOwn(name) {
			if l.Own == nil {
				l.Own = make(map[string]string)
			}
			l.Own[name] = text
			continue
		}
		key, err := value.Key(name)
		if err != nil {
			continue
		}
		v, err := value.Decode(text)
		if err != nil {
			continue // it stands in the session as it was read
		}
		opened.Values[key] = v
	}
	text, _ := json.Marshal(l) // its fields all encode
	opened.Values[ledgerKey] = string(text)

	// Stores take MaxAge for the record's life, and some delete at 0.
	life := time.Until(record.Expires.Add(store.Retention))
	opened.Options = &gsessions.Options{Path: "/", MaxAge: max(1, int(math.Ceil(life.Seconds())))}
	sent, err := f.save(r, opened, old)
	if err != nil {
		return Kept{}, err
	}
	opened.IsNew = false // else it would be stored a second time by a second save
	if size := len(cookie.PrefixHostHTTP) + len(f.name) + len(sent); size > cookie.MaxBytes {
		return Kept{}, fmt.Errorf("%T: %w: its cookie has %d bytes, and browsers keep %d", f.store, store.ErrTooLarge, size, cookie.MaxBytes)
	}
	return Kept{Stored: session.Stored{ID: id, Record: record}, Handle: Handle{Cookie: sent, foreign: opened}}, nil
}

// save has the store save a session, and returns the cookie that it would set.
// Some stores panic on values that they cannot encode.
func (f *foreign) save(r *http.Request, opened *gsessions.Session, old string) (cookie string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%T: panic: %v", f.store, v)
		}
	}()
	response := address.HeaderOnly{}
	if err := f.store.Save(gorilla.Only(r.WithContext(Committing(r)), f.name, old), response, opened); err != nil {
		return "", fmt.Errorf("%T: %w", f.store, err)
	}
	for _, line := range response.Header()["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == f.name {
			cookie = c.Value
		}
	}
	return cookie, nil
}

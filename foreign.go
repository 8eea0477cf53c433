package sessionkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	outside "github.com/gin-sessionkit/sessionkit/internal/foreign"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
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

// ledgerKey is the session value in which the kit keeps what a record of its own
// stores has fields for.
const ledgerKey = value.OwnPrefix + "session"

// ledger is that value.
type ledger struct {
	ID      string    `json:"id"` // public handle
	User    string    `json:"user,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Expires time.Time `json:"expires"`
	// Own are the kit's other values, such as flash messages.
	Own map[string]string `json:"own,omitempty"`
}

// maxForeignCookie is the longest cookie that a store is asked about: what
// browsers keep at most (RFC 6265bis section 5.6).
const maxForeignCookie = 4096

func (f *foreign) load(r *http.Request, cookie string, _ bool) (kept, error) {
	if len(cookie) > maxForeignCookie {
		return kept{}, nil
	}
	session, err := f.open(r, cookie)
	if err != nil {
		return kept{}, f.judge(session, err)
	}
	if session.IsNew {
		return kept{}, nil
	}
	l, ok := readLedger(session)
	if !ok { // it was made by gin-contrib/sessions alone: it begins now, and is due to be marked as seen
		now := time.Now()
		l = ledger{ID: newToken(), Created: now, Seen: now.Add(-f.seenEvery), Expires: now.Add(store.Retention)}
	}
	values := make(map[string]string, len(session.Values))
	for key, v := range session.Values {
		name, nameErr := value.Name(key)
		text, err := value.Encode(v)
		if nameErr == nil && err == nil && key != ledgerKey {
			values[name] = text
		}
	}
	maps.Copy(values, l.Own)
	return kept{
		id: l.ID, cookie: cookie, foreign: session,
		record: store.Record{User: l.User, Created: l.Created, Seen: l.Seen, Expires: l.Expires, Values: values},
	}, nil
}

// open has the store read the one session that a cookie names, or begin one. A
// type that the application gave to gob may panic on what it is to decode.
func (f *foreign) open(r *http.Request, cookie string) (session *gsessions.Session, err error) {
	defer func() {
		if v := recover(); v != nil {
			session, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	session, err = f.store.New(f.only(r, cookie), f.name)
	if err == nil && session == nil {
		err = errors.New("the store returned no session")
	}
	return session, err
}

// only returns the request with no other cookie than the one that names the
// session. Stores look at it when they save as well: one of them takes from it
// which session it is to change.
func (f *foreign) only(r *http.Request, cookie string) *http.Request {
	only := r.WithContext(r.Context())
	only.Header = http.Header{}
	if cookie != "" {
		only.Header.Set("Cookie", f.name+"="+cookie)
	}
	return only
}

// judge says what a store's error means: nil where there is no such session,
// [store.ErrCorrupt] where its record cannot be decoded, and else that the store
// could not tell.
func (f *foreign) judge(session *gsessions.Session, err error) error {
	switch {
	case outside.Gone(err):
		return nil
	case !outside.Undecodable(err):
		return fmt.Errorf("%T: %w", f.store, err)
	case session == nil || session.ID == "": // it is the cookie
		return nil
	}
	return fmt.Errorf("%T: %w: %w", f.store, store.ErrCorrupt, err)
}

func readLedger(session *gsessions.Session) (ledger, bool) {
	var l ledger
	text, _ := session.Values[ledgerKey].(string)
	if text == "" || json.Unmarshal([]byte(text), &l) != nil {
		return ledger{}, false
	}
	return l, true
}

func (f *foreign) create(r *http.Request, record store.Record, _ signin.Attempt) (kept, error) {
	session, err := f.open(r, "")
	if err != nil {
		return kept{}, fmt.Errorf("%T: %w", f.store, err)
	}
	return f.write(r, session, "", newToken(), record)
}

func (f *foreign) update(r *http.Request, k kept, change store.Change) (kept, store.Outcome, error) {
	record := k.record
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
	next, err := f.write(r, k.foreign, k.cookie, k.id, record)
	if err != nil {
		return kept{}, store.Outcome{}, err
	}
	if next.foreign.ID != id { // it had ended, or was not found, and the store has begun another
		return kept{}, store.Outcome{}, f.remove(r, next)
	}
	return next, store.Outcome{Found: true}, nil
}

func (f *foreign) rotate(r *http.Request, k kept, record store.Record, drop []string, _ *signin.Attempt) (kept, bool, error) {
	if now, err := f.load(r, k.cookie, true); err != nil || now.id == "" {
		return kept{}, false, err // what ended meanwhile does not go on under a new ID
	}
	session, err := f.open(r, "")
	if err != nil {
		return kept{}, false, fmt.Errorf("%T: %w", f.store, err)
	}
	maps.Copy(session.Values, k.foreign.Values) // also what the kit cannot read
	for _, name := range drop {
		if key, err := value.Key(name); err == nil {
			delete(session.Values, key)
		}
	}
	changed := record.Values
	record.Values = value.Apply(k.record.Values, changed, drop)
	next, err := f.write(r, session, "", newToken(), record)
	if err != nil {
		return kept{}, false, err
	}
	if _, err := f.end(r, k, store.Renewed); err != nil {
		return kept{}, false, errors.Join(err, f.remove(r, next))
	}
	next.record.Values = changed
	return next, true, nil
}

// follow finds nothing: such a store does not know what became of a session.
func (f *foreign) follow(*http.Request, kept) (kept, bool, error) { return kept{}, false, nil }

// end writes an ended session over the stored one before it has that deleted. A
// store that cannot reach a session may take it for one that is not there, and
// then deletes nothing and says nothing; what is to be written it does miss.
func (f *foreign) end(r *http.Request, k kept, _ store.Ending) (bool, error) {
	ended := *k.foreign
	ended.Values = make(map[any]any)
	next, err := f.write(r, &ended, k.cookie, k.id, store.Record{Expires: time.Now()})
	if err != nil {
		return false, err
	}
	_ = f.remove(r, next) // what is left opens nothing
	return ended.ID == k.foreign.ID, nil
}

// remove has the store delete a session.
func (f *foreign) remove(r *http.Request, k kept) error {
	k.foreign.Options = &gsessions.Options{Path: "/", MaxAge: -1}
	_, err := f.save(r, k.foreign, k.cookie)
	return err
}

func (f *foreign) watch(r *http.Request, k kept) (<-chan struct{}, func()) {
	return watchByLoading(f, r, k)
}

// watchByLoading looks at the session once a second.
func watchByLoading(f keeper, r *http.Request, k kept) (<-chan struct{}, func()) {
	ended := make(chan struct{})
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
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
			now, err := f.load(r.WithContext(ctx), k.cookie, true)
			if err == nil && (now.id == "" || !time.Now().Before(now.record.Expires)) {
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
func (f *foreign) write(r *http.Request, session *gsessions.Session, old, id string, record store.Record) (kept, error) {
	l := ledger{ID: id, User: record.User, Created: record.Created, Seen: record.Seen, Expires: record.Expires}
	for name, text := range record.Values {
		if isOwn(name) {
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
		session.Values[key] = v
	}
	text, _ := json.Marshal(l) // its fields all encode
	session.Values[ledgerKey] = string(text)

	// Stores take MaxAge for the record's life, and some delete at 0.
	life := time.Until(record.Expires.Add(store.Retention))
	session.Options = &gsessions.Options{Path: "/", MaxAge: max(1, int(math.Ceil(life.Seconds())))}
	cookie, err := f.save(r, session, old)
	if err != nil {
		return kept{}, err
	}
	session.IsNew = false // else it would be stored a second time by a second save
	if size := len(prefixHostHTTP) + len(f.name) + len(cookie); size > maxCookieBytes {
		return kept{}, fmt.Errorf("%T: %w: its cookie has %d bytes, and browsers keep %d", f.store, store.ErrTooLarge, size, maxCookieBytes)
	}
	return kept{id: id, cookie: cookie, record: record, foreign: session}, nil
}

// save has the store save a session, and returns the cookie that it would set.
// Some stores panic on values that they cannot encode.
func (f *foreign) save(r *http.Request, session *gsessions.Session, old string) (cookie string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%T: panic: %v", f.store, v)
		}
	}()
	response := headerOnly{}
	if err := f.store.Save(f.only(r.WithContext(committing(r)), old), response, session); err != nil {
		return "", fmt.Errorf("%T: %w", f.store, err)
	}
	for _, line := range response.Header()["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == f.name {
			cookie = c.Value
		}
	}
	return cookie, nil
}

// headerOnly is a response of which only the header is of interest.
type headerOnly http.Header

func (h headerOnly) Header() http.Header       { return http.Header(h) }
func (h headerOnly) Write([]byte) (int, error) { return 0, http.ErrNotSupported }
func (h headerOnly) WriteHeader(int)           {}

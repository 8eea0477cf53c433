package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// An Old is a session on its way from the old store of [Migrate] to the new one.
// The kit uses it.
type Old struct {
	ID     string // public handle of the old cookie
	Secret string `json:"-"` // of the new session, where it has moved already
	Record Record // as it is to be created

	m       *migrating
	cookie  string
	session *gsessions.Session
	retired []string
}

// Format implements [fmt.Formatter], so that no verb prints the secrets.
func (o *Old) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "store.Old{ID: %q, the rest not shown}", o.ID)
}

// oldRecord returns the record of a session of another store. A value that has no
// text is left out: it takes none of the others down.
func oldRecord(values map[any]any, user string) Record {
	now := time.Now()
	r := Record{User: user, Created: now, Seen: now, Expires: now.Add(plainLifetime), Values: make(map[string]string, len(values))}
	for key, v := range values {
		name, nameErr := value.Name(key)
		text, err := value.Encode(v)
		if nameErr == nil && err == nil {
			r.Values[name] = text
		}
	}
	if user != "" {
		r = r.WithSignIn(SignIn{Line: rand.Text()}) // nobody knows when
	}
	return r
}

// Retire has the browser drop the old cookie, once the session has moved or ended.
// A cookie of the same name that the response sets has replaced it already.
func (o *Old) Retire(header http.Header) {
	for _, line := range header["Set-Cookie"] {
		if strings.HasPrefix(line, o.m.oldName+"=") {
			return
		}
	}
	for _, line := range o.retired {
		header.Add("Set-Cookie", line)
	}
}

// Update moves the session, with a change. Where it has moved meanwhile, the
// change is applied there. It reports false, and changes nothing, if the session
// has ended.
func (o *Old) Update(ctx context.Context, r *http.Request, c Change) (secret, id string, found bool, err error) {
	next := o.Record
	next.Values = value.Apply(next.Values, c.Set, c.Delete)
	if !c.Expires.IsZero() {
		next.Seen, next.Expires = c.Seen, c.Expires
	}
	secret, id, found, err = o.move(ctx, r, next, true)
	if err != nil || found {
		return secret, id, found, err
	}
	secret, id, now, err := o.successor(ctx)
	if secret == "" || err != nil {
		return "", "", false, err
	}
	found, err = o.m.Update(ctx, id, now, c)
	return secret, id, found, err
}

// Rotate moves the session to a secret to which the old cookie does not lead. Its
// user and times are those of next. It reports false, and changes nothing, if the
// session has ended or was so moved before.
func (o *Old) Rotate(ctx context.Context, r *http.Request, next Record, drop []string) (secret, id string, found bool, err error) {
	whole := next
	whole.Values = value.Apply(o.Record.Values, next.Values, drop)
	secret, id, found, err = o.move(ctx, r, whole, false)
	if err != nil || found {
		return secret, id, found, err
	}
	secret, id, now, err := o.successor(ctx)
	if secret == "" || err != nil {
		return "", "", false, err
	}
	return o.m.Rotate(ctx, id, now, next, drop)
}

// End ends the session, also where it has moved meanwhile, and reports whether
// there was one to end.
func (o *Old) End(ctx context.Context, r *http.Request) (bool, error) {
	ended, err := o.put(ctx, r, mark{})
	if err != nil || ended {
		return ended, err
	}
	mark, found, err := o.mark(ctx)
	if err != nil || !found || mark.ID == "" {
		return false, err
	}
	return o.m.End(ctx, mark.ID, Record{User: mark.User}.WithSignIn(SignIn{Line: mark.Line}))
}

// Watch is [Store.Watch] for a session that has not moved yet.
func (o *Old) Watch(r *http.Request) (done <-chan struct{}, stop func()) {
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	go func() {
		defer close(ended)
		defer cancel()
		o.follow(ctx)
	}()
	return ended, func() {
		cancel()
		<-ended
	}
}

// follow returns when the session has ended, or with ctx.
func (o *Old) follow(ctx context.Context) {
	for {
		timer := time.NewTimer(watchEvery)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		mark, moved, err := o.mark(ctx)
		if err != nil || !moved {
			continue
		}
		next, stop := o.m.Watch(mark.ID, Record{User: mark.User}.WithSignIn(SignIn{Line: mark.Line})) //nolint:contextcheck // it ends by stop
		defer stop()
		select {
		case <-ctx.Done():
		case <-next:
		}
		return
	}
}

// successor returns the session to which this one has moved. secret is "" where
// the old cookie leads to none.
func (o *Old) successor(ctx context.Context) (secret, id string, r Record, err error) {
	mark, _, err := o.mark(ctx)
	if secret = mark.secret(o.cookie); secret == "" || err != nil {
		return "", "", Record{}, err
	}
	id, r, found, err := o.m.Load(ctx, secret, true)
	if !found || err != nil {
		return "", "", Record{}, err
	}
	return secret, id, r, nil
}

// move creates the new session and puts a mark in place of the old one. It reports
// false if there is a mark already: the session has moved or ended meanwhile.
//
// The new session is there before the mark, so that a process that dies in between
// signs nobody out; nobody has its secret then.
func (o *Old) move(ctx context.Context, r *http.Request, next Record, leads bool) (secret, id string, moved bool, err error) {
	secret, id, err = o.m.Create(ctx, next)
	if err != nil {
		return "", "", false, err
	}
	mark := mark{ID: id, User: next.User, Line: next.SignIn().Line}
	if leads {
		mark.Sealed = seal(o.cookie, secret)
	}
	moved, err = o.put(ctx, r, mark)
	if !moved || err != nil {
		_, undoErr := o.m.Delete(ctx, id)
		return "", "", false, errors.Join(err, undoErr)
	}
	return secret, id, true, nil
}

// put puts a mark in place of the old session and removes that. It reports false if
// there is a mark already.
func (o *Old) put(ctx context.Context, r *http.Request, mark mark) (bool, error) {
	created, err := o.create(ctx, mark)
	if err != nil {
		return false, errors.Join(err, o.takeBack(ctx, mark))
	}
	if !created {
		return false, nil
	}
	if err := o.retire(ctx, r); err != nil {
		_, undoErr := o.m.Delete(ctx, o.ID)
		return false, errors.Join(err, undoErr)
	}
	return true, nil
}

// takeBack removes a mark whose creation failed and may have taken effect all the
// same: the old session stands.
func (o *Old) takeBack(ctx context.Context, failed mark) error {
	ctx = context.WithoutCancel(ctx)
	there, found, err := o.mark(ctx)
	if err != nil {
		return err
	}
	if found && failed.ID != "" && there.ID == failed.ID { // another's stays
		_, err = o.m.Delete(ctx, o.ID)
	}
	return err
}

// retire removes the session from the old store.
func (o *Old) retire(ctx context.Context, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil { // some stores panic on what they cannot encode
			err = fmt.Errorf("store: ending a session of the old store: %T: panic: %v", o.m.from, v)
		}
	}()
	clear(o.session.Values)
	options := gsessions.Options{Path: "/"}
	if o.session.Options != nil {
		options = *o.session.Options
	}
	options.MaxAge = -1
	o.session.Options = &options
	header := headerOnly{}
	if err := o.m.from.Save(o.only(r).WithContext(ctx), header, o.session); err != nil {
		return fmt.Errorf("store: ending a session of the old store: %T: %w", o.m.from, err)
	}
	o.retired = header.Header()["Set-Cookie"]
	return nil
}

// headerOnly is a response of which only the header is of interest.
type headerOnly http.Header

func (h headerOnly) Header() http.Header       { return http.Header(h) }
func (h headerOnly) Write([]byte) (int, error) { return 0, http.ErrNotSupported }
func (h headerOnly) WriteHeader(int)           {}

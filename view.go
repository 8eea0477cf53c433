package sessionkit

import (
	"fmt"
	"net/http"

	"github.com/gin-contrib/sessions"
	gsessions "github.com/gorilla/sessions"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// ginStore is the request's session as the store that gin-contrib/sessions runs
// on: what sessions.Default(c) reads and changes is the same session, under the
// same rules.
type ginStore request

var _ sessions.Store = (*ginStore)(nil)

// Get returns the view of the session. A failed load is not returned: it has been
// reported, [Err] tells it, and nothing of the view is saved.
func (g *ginStore) Get(_ *http.Request, name string) (*gsessions.Session, error) {
	q := (*request)(g)
	q.lock()
	defer q.unlock(q.c)
	q.load(false)
	if q.view == nil {
		q.view = gsessions.NewSession(g, name)
		q.refreshView()
	}
	return q.view, nil
}

// New is the same as Get: a request has one session.
func (g *ginStore) New(r *http.Request, name string) (*gsessions.Session, error) {
	return g.Get(r, name)
}

// Save has nothing to do before the header goes out. After, it saves at once.
func (g *ginStore) Save(*http.Request, http.ResponseWriter, *gsessions.Session) error {
	q := (*request)(g)
	if !q.writer.sent {
		return nil
	}
	return q.afterHeader()
}

// Options has no effect: Config decides the cookie's attributes.
func (g *ginStore) Options(sessions.Options) {}

// refreshView makes the view show what the session holds now.
func (q *request) refreshView() {
	if q.view == nil {
		return
	}
	clear(q.view.Values)
	value.Unpack(q.texts(), q.view.Values)
	q.view.ID, q.view.IsNew = q.old.id, q.old.id == ""
	q.view.Options = &gsessions.Options{
		Path: q.kit.Path, Domain: q.kit.Domain, HttpOnly: true, Secure: true, SameSite: q.kit.SameSite, Partitioned: q.kit.Partitioned,
	}
	if q.ending {
		q.view.ID, q.view.IsNew = "", true
	}
}

// texts returns the texts of all values. They must not be changed.
func (q *request) texts() map[string]string {
	if len(q.set) == 0 && len(q.drop) == 0 {
		return q.base
	}
	return value.Apply(q.base, q.set, q.drop)
}

// syncView takes over what was changed through the view.
func (q *request) syncView() {
	if q.view == nil {
		return
	}
	if q.view.Options != nil && q.view.Options.MaxAge < 0 {
		q.signOut()
		return
	}
	set, drop, err := value.Diff(q.texts(), q.view.Values)
	if err != nil {
		q.refuse(fmt.Errorf("sessionkit: %w", err))
		return
	}
	for name, text := range set {
		q.put(name, text)
	}
	for _, name := range drop {
		q.remove(name)
	}
}

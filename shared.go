package sessionkit

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
)

// shareConfig returns the configuration as a store has it whose sessions another
// program uses as well. What the store decides must not be set twice.
func shareConfig(c Config, s kitstore.Shared) (Config, error) {
	p := problems{prefix: "Config."}
	const reason = "the store shares its sessions with another program and has a setting for it; set it there"
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"Name", c.Name != ""},
		{"VisitorFor", c.VisitorFor != 0},
		{"Domain", c.Domain != ""},
		{"Path", c.Path != ""},
		{"SameSite", c.SameSite != 0},
		{"Partitioned", c.Partitioned},
		{"UserOf", c.UserOf != nil && s.UserOf() != nil},
	} {
		if f.set {
			p.add(f.name, "", reason)
		}
	}
	if len(p.errs) > 0 {
		return c, errors.Join(p.errs...)
	}
	cookie := s.Cookie(true)
	c.Name, c.Domain, c.Path, c.SameSite = cookie.Name, cookie.Domain, cookie.Path, cookie.SameSite
	if c.UserOf == nil {
		c.UserOf = s.UserOf()
	}
	c.VisitorFor, _ = s.VisitorFor()
	return c, nil
}

// share makes a kit one that keeps its sessions in a shared store.
func (k *kit) share(s kitstore.Shared) {
	_, persistent := s.VisitorFor()
	k.shared, k.keeper, k.hostName, k.closing = s, shared{s, k}, k.Name, !persistent
}

// sharedCookie is the session's cookie as the other program sets it.
func (k *kit) sharedCookie(r *http.Request) *http.Cookie {
	cookie := k.shared.Cookie(isHTTPS(r))
	k.warn(r, cookie.Secure)
	return &cookie
}

func isHTTPS(r *http.Request) bool { return r.TLS != nil || forwardedProto(r.Header) == "https" }

// shared keeps sessions in a store that another program uses as well.
type shared struct {
	kitstore.Shared

	kit *kit
}

// load ends what it finds past its deadlines: the other program does not know them,
// and would keep the session alive.
func (s shared) load(r *http.Request, cookie string, _ bool) (kept, error) {
	id, record, found, err := s.Load(r.Context(), cookie)
	if err != nil || !found {
		return kept{}, err
	}
	if record.User != "" && !s.kit.live(&record, time.Now()) {
		if _, err := s.End(committing(r), cookie); err != nil { //nolint:contextcheck // a client that goes away does not stop it half-way
			return kept{}, fmt.Errorf("ending an expired session: %w", err)
		}
	}
	return kept{id: id, cookie: cookie, record: record}, nil
}

func (s shared) create(r *http.Request, record store.Record, _ signin.Attempt) (kept, error) {
	cookie, id, err := s.Create(committing(r), record, isHTTPS(r))
	return kept{id: id, cookie: cookie, record: record}, err
}

func (s shared) update(r *http.Request, k kept, change store.Change) (kept, store.Outcome, error) {
	outcome, err := s.Update(committing(r), k.cookie, k.record, change, isHTTPS(r))
	k.cookie = ""
	return k, outcome, err
}

func (s shared) rotate(r *http.Request, k kept, record store.Record, drop []string, a *signin.Attempt) (kept, bool, error) {
	cookie, id, found, err := s.Rotate(committing(r), k.cookie, k.record, record, drop, a != nil, isHTTPS(r))
	return kept{id: id, cookie: cookie, record: record}, found, err
}

// follow finds nothing: the other program leaves no trace of what it has renewed.
func (s shared) follow(*http.Request, kept) (kept, bool, error) { return kept{}, false, nil }

func (s shared) end(r *http.Request, k kept, _ store.Ending) (bool, error) {
	return s.End(committing(r), k.cookie)
}

func (s shared) watch(r *http.Request, k kept) (<-chan struct{}, func()) {
	return watchByLoading(s, r, k)
}

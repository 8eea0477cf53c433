package sessionkit

import (
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// An application that signs in by values of its own says by Config.UserOf who that
// is. It is asked again whenever it matters, so that what these values say and what
// the kit says never differ: what they say counts, and [Login] counts as long as they
// say nothing or the same.

// isUser reports whether a text can name a user.
func isUser(user string) bool {
	return user != "" && len(user) <= maxUserBytes && utf8.ValidString(user) && strings.IndexByte(user, 0) < 0
}

// byValues returns who is signed in according to the values, "" for nobody.
func (q *request) byValues() string {
	values := make(map[any]any)
	if q.view != nil {
		maps.Copy(values, q.view.Values)
	} else {
		value.Unpack(q.texts(), values)
	}
	if len(values) == 0 {
		return ""
	}
	user := q.kit.UserOf(values)
	if user != "" && !isUser(user) {
		q.report(fmt.Errorf("sessionkit: Config.UserOf returned %q: it must be 1 to %d bytes of UTF-8 text without NUL",
			shorten(user, maxUserBytes), maxUserBytes))
		return ""
	}
	return user
}

// agree takes over what the values of a stored session say.
func (q *request) agree() {
	if q.kit.UserOf == nil {
		return
	}
	q.valuesUser = q.byValues()
	if q.valuesUser == q.user || q.valuesUser == "" && !q.since().Values {
		return
	}
	q.user, q.signIn = q.valuesUser, &signin.SignIn{Values: true}
}

// follow has a sign-in or sign-out take effect that this request has made by values.
func (q *request) follow() {
	if q.kit.UserOf == nil || q.loadErr != nil {
		return
	}
	q.syncView()
	user := q.byValues()
	if user == q.valuesUser {
		return
	}
	if q.user != "" && q.user != user {
		q.signOutByValues()
	}
	if q.valuesUser = user; user != "" && q.user != user {
		q.signInAs(user, signin.SignIn{Values: true})
	}
}

// signOutByValues ends the session. What the application has left of its values is
// a visitor's.
func (q *request) signOutByValues() {
	left := make(map[string]string)
	for name, text := range q.texts() {
		if !isOwn(name) {
			left[name] = text
		}
	}
	q.signOut()
	q.set = left
	q.refreshView()
}

// signInAs signs a user in.
func (q *request) signInAs(user string, in signin.SignIn) {
	in.At = time.Now().Round(0)
	in.UserAgent, in.IP = userAgent(q.r), q.c.ClientIP()
	if in.Line == "" {
		in.Line = newToken()
	}
	q.user, q.signIn = user, &in
	r := q.old.record
	r.User = user // so that it counts from the sign-in, and not from the visit
	in.Ends = q.life().ends(&r, in)
	q.renewing, q.signingIn, q.confirming = true, true, false
	q.changed()
}

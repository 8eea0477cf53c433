package main

import (
	"bytes"
	"fmt"
	"net/http"
)

// A visitor sends requests with a session of its own and checks every answer.
type visitor struct {
	transport

	content content
	held    []byte   // what a read must answer: what was last read or written
	own     string   // the cookie of the session that is read and written
	others  []string // cookies of sessions to sign in and out with
}

// visit starts a session that holds the content.
func visit(t transport, c content) (*visitor, error) {
	v := &visitor{transport: t, content: c}
	body, err := v.start()
	v.held, v.own = bytes.Clone(body), v.cookie()
	return v, err
}

// start starts a new session and returns what a read of it must answer.
func (v *visitor) start() ([]byte, error) {
	v.setCookie("")
	body, err := v.send(v.content.of(routeStartSmall))
	if err == nil && v.cookie() == "" {
		err = fmt.Errorf("%s: no cookie was set", routes[v.content.of(routeStartSmall)].path)
	}
	return body, err
}

// send sends a request whose answer must be a 200.
func (v *visitor) send(r route) ([]byte, error) {
	status, body, err := v.do(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", routes[r].path, err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d: %s", routes[r].path, status, body)
	}
	return body, nil
}

// expect sends a request whose body must be the given one.
func (v *visitor) expect(r route, want string) error {
	body, err := v.send(r)
	if err == nil && string(body) != want {
		err = fmt.Errorf("%s: the answer is %q, not %q", routes[r].path, body, want)
	}
	return err
}

// work does a plain work once.
func (v *visitor) work(w work) error {
	switch w {
	case anonymous:
		v.setCookie("")
		return v.expect(routeAnonymous, saidHello)
	case read:
		body, err := v.send(v.content.of(routeReadSmall))
		if err == nil && !bytes.Equal(body, v.held) {
			err = fmt.Errorf("%s: the answer is %q, not %q", routes[v.content.of(routeReadSmall)].path, body, v.held)
		}
		return err
	case write:
		body, err := v.send(v.content.of(routeWriteSmall))
		v.held = append(v.held[:0], body...)
		return err
	case update:
		body, err := v.send(v.content.of(routeUpdateSmall))
		v.held = append(v.held[:0], body...)
		return err
	case signIn:
		return v.expect(routeSignIn, userID)
	case signOut:
		return v.expect(routeSignOut, saidBye)
	}
	return fmt.Errorf("there is no work %q", w)
}

// resume goes back to the visitor's own session and proves that what was written
// last is stored.
func (v *visitor) resume() error {
	v.setCookie(v.own)
	return v.work(read)
}

// leave keeps the cookie of the visitor's own session, which some peers change
// with every write.
func (v *visitor) leave() { v.own = v.cookie() }

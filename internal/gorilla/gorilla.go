// Package gorilla calls stores that know the interface of gorilla/sessions and no more.
package gorilla

import (
	"errors"
	"fmt"
	"net/http"

	gsessions "github.com/gorilla/sessions"
)

// Open has the store read the one session that a cookie names, or begin one. A type that
// the application gave to gob may panic on what it is to decode: that is an error.
func Open(s gsessions.Store, r *http.Request, name, cookie string) (opened *gsessions.Session, err error) {
	defer func() {
		if v := recover(); v != nil {
			opened, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	opened, err = s.New(Only(r, name, cookie), name)
	if err == nil && opened == nil {
		err = errors.New("the store returned no session")
	}
	return opened, err
}

// Only returns the request with this cookie and no other, or with none if it is "". Stores
// look at it when they save as well: one of them takes from it which session it is to
// change.
func Only(r *http.Request, name, cookie string) *http.Request {
	only := r.WithContext(r.Context())
	only.Header = http.Header{}
	if cookie != "" {
		only.Header.Set("Cookie", name+"="+cookie)
	}
	return only
}

package expresslive_test

import (
	"context"

	"github.com/gin-sessionkit/sessionkit/store/express"
)

// internals are what package express does behind its API.
type internals interface {
	SealWith(s express.Secrets, sid string) string
	OpenWith(s express.Secrets, cookie string) (sid string, ok bool)
	Lost() []string
	Parse(s express.Secrets, text []byte) (texts, members map[string]string, err error)
	MemberOf(s express.Secrets, name, text string) (string, error)
	Without(text string, names ...string) string
	Swap(ctx context.Context, sid, text, next string) error
	Edit(ctx context.Context, sid string, set map[string]string, drop []string) (found bool, err error)
}

func of(s *express.Store) internals { return s.Kit().(internals) }

// seal returns the session cookie of a session ID, and open the ID of a cookie.
func seal(s express.Secrets, sid string) string { return of(nil).SealWith(s, sid) }

func open(s express.Secrets, cookie string) (sid string, ok bool) { return of(nil).OpenWith(s, cookie) }

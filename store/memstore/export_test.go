package memstore

import "github.com/gin-sessionkit/sessionkit/store"

// UserShards returns how many of the users' shards hold an index.
func UserShards(b store.Backend) (n int) {
	users := &b.(*backend).users
	for i := range users {
		u := &users[i]
		u.mu.Lock()
		if len(u.ids) > 0 {
			n++
		}
		u.mu.Unlock()
	}
	return n
}

// Tidy is the second step of what ends or removes a session.
func Tidy(b store.Backend, user, id string) { b.(*backend).tidy(user, id) }

package testserver

import "testing"

// StartLike starts a server with the arguments of another one, and reports whether it
// could.
func StartLike(tb testing.TB, other *RedisServer) (*RedisServer, bool) {
	tb.Helper()
	s := &RedisServer{t: tb, Address: other.Address, args: other.args}
	return s, s.start()
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// revocation is how long one node goes on serving a session that another one
// revoked, from the call on.
type revocation struct {
	Tries, Missed int
	P50, P99, Max time.Duration
}

// givenUp is when a revocation counts as missed. The cache promises 1.5 s where
// the server hangs.
const givenUp = 2 * time.Second

// measureRevocation signs a user in on one node, has the other one serve the
// session from its memory, revokes it on the first one, and asks the second one
// until it refuses.
func measureRevocation(around surroundings, tries int) (revocation, error) {
	own := new(closer)
	defer func() { _ = own.close() }() // nothing of it is needed any more
	around.close = own
	var nodes [2]*store.Store
	for i := range nodes {
		var err error
		if nodes[i], err = openRedisstore(around, redisstore.Config{Prefix: "revoked:"}); err != nil {
			return revocation{}, err
		}
		own.add(nodes[i].Close)
	}
	here, there := newScaleApp(nodes[0]), newScaleApp(nodes[1])
	r := revocation{Tries: tries}
	var delays []time.Duration
	for i := range tries {
		user := "user" + strconv.Itoa(i)
		cookie, err := here.start(user)
		if err != nil {
			return r, err
		}
		visitor := &visitor{transport: newDirect(there.handler)}
		visitor.setCookie(cookie)
		for range 3 { // the first one fills the cache
			if err := visitor.expect(routeUser, user); err != nil {
				return r, err
			}
		}
		delay, seen, err := revoke(around.ctx, nodes[0], user, visitor)
		if err != nil {
			return r, err
		}
		if !seen {
			r.Missed++
		}
		delays = append(delays, delay)
	}
	r.P50, r.P99, r.Max = quantile(delays, 0.5), quantile(delays, 0.99), quantile(delays, 1)
	return r, nil
}

// revoke ends the sessions of a user on one node and asks the other one, which the
// visitor talks to, until it knows.
func revoke(ctx context.Context, node *store.Store, user string, v *visitor) (delay time.Duration, seen bool, err error) {
	began := time.Now()
	ended, err := node.RevokeAll(ctx, user)
	if err != nil || ended != 1 {
		return 0, false, fmt.Errorf("revoking ended %d sessions, not 1: %w", ended, err)
	}
	for {
		body, err := v.send(routeUser)
		delay := time.Since(began)
		switch {
		case err != nil:
			return delay, false, err
		case string(body) == saidNone:
			return delay, true, nil
		case delay > givenUp:
			return delay, false, nil
		}
		time.Sleep(50 * time.Microsecond) // a busy loop would keep the core from those who bring the news
	}
}

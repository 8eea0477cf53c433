package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// A directory is what a user's list of sessions costs.
type directory struct {
	Store                      medium
	Sessions                   int
	List, SignIn, End, EndEach time.Duration // EndEach: of all at once, for each
}

// measureDirectories measures the sessions of one user.
func measureDirectories(around surroundings, sizes []int) ([]directory, error) {
	own := new(closer)
	defer func() { _ = own.close() }() // nothing of it is needed any more
	around.close = own
	var found []directory
	for _, m := range []medium{inMemory, inSQLite, inRedis} {
		sessions, err := openDirectoryStore(around, m)
		if err != nil {
			return nil, err
		}
		own.add(sessions.Close)
		if _, err := measureDirectory(around.ctx, sessions, m, 1); err != nil { // the first use opens connections
			return nil, err
		}
		for _, n := range sizes {
			d, err := measureDirectory(around.ctx, sessions, m, n)
			if err != nil {
				return nil, fmt.Errorf("%d sessions of one user in %s: %w", n, m, err)
			}
			found = append(found, d)
		}
	}
	return found, nil
}

func openDirectoryStore(around surroundings, m medium) (*store.Store, error) {
	if m == inRedis {
		return openRedisstore(around, redisstore.Config{Prefix: "directory:"})
	}
	return openShapeStore(around, m)
}

func measureDirectory(ctx context.Context, sessions *store.Store, m medium, n int) (directory, error) {
	d := directory{Store: m, Sessions: n}
	a := newScaleApp(sessions) //nolint:contextcheck // its handlers have their requests' contexts
	user := fmt.Sprintf("user%d", n)
	for range n - 1 {
		if _, err := a.start(user); err != nil {
			return d, err
		}
	}
	began := time.Now()
	if _, err := a.start(user); err != nil {
		return d, err
	}
	d.SignIn = time.Since(began)

	const lists = 10
	began = time.Now()
	var list []store.Session
	for range lists {
		var err error
		if list, err = sessions.Sessions(ctx, user); err != nil || len(list) != n {
			return d, fmt.Errorf("listing found %d: %w", len(list), err)
		}
	}
	d.List = time.Since(began) / lists

	began = time.Now()
	if err := sessions.Revoke(ctx, user, list[0].ID); err != nil {
		return d, err
	}
	d.End = time.Since(began)
	if n == 1 {
		return d, nil
	}
	began = time.Now()
	ended, err := sessions.RevokeAll(ctx, user)
	if err != nil || ended != n-1 {
		return d, fmt.Errorf("ending all ended %d: %w", ended, err)
	}
	d.EndEach = time.Since(began) / time.Duration(ended)
	return d, nil
}

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// A walkSize is what a process of its own measures: a store with so many sessions of
// five small values, half of them signed in, which are counted and gone through.
type walkSize struct {
	Store    medium
	Sessions int
	For      time.Duration // of the reads alone
	Dir      string
	Redis    string
}

// A walk is what was found.
type walk struct {
	walkSize

	Count, All    time.Duration
	Held          uint64 // bytes of the heap in the middle of All, beside what was there before
	Alone, Beside reading
}

// A reading is the time of requests that read two values, one at a time.
type reading struct{ P50, P99 time.Duration }

// walkCommand is the argument that makes this program such a process.
const walkCommand = "walk"

// measureWalks measures each size in a process of its own.
func measureWalks(around surroundings, log io.Writer, sessions int, each time.Duration) ([]walk, error) {
	var found []walk
	for _, m := range []medium{inMemory, inSQLite, inRedis} {
		_, _ = fmt.Fprintf(log, "all sessions: %d, %s\n", sessions, m)
		w, err := startWalk(around.ctx, walkSize{m, sessions, each, around.dir, around.redis})
		if err != nil {
			return nil, fmt.Errorf("going through %d sessions in %s: %w", sessions, m, err)
		}
		found = append(found, w)
	}
	return found, nil
}

func startWalk(ctx context.Context, size walkSize) (found walk, err error) {
	argument, err := json.Marshal(size)
	if err != nil {
		return found, err
	}
	self, err := os.Executable()
	if err != nil {
		return found, err
	}
	command := exec.CommandContext(ctx, self, walkCommand, string(argument)) // #nosec G204 -- this program
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(out, &found)
}

// walkProcess is the process. It writes what it found.
func walkProcess(ctx context.Context, argument string, out io.Writer) (err error) {
	var found walk
	if err := json.Unmarshal([]byte(argument), &found.walkSize); err != nil {
		return err
	}
	sessions, db, err := openWalkStore(found.walkSize) //nolint:contextcheck // OpenSQLite takes none
	if err != nil {
		return err
	}
	defer func() {
		_ = sessions.Close()
		if db != nil {
			_ = db.Close()
		}
	}()
	n := found.Sessions
	if db != nil {
		n = min(n, made)
	}
	cookies, err := fillTogether(sessions, n) //nolint:contextcheck // the handlers have their requests' contexts
	if err == nil && db != nil {
		_, err = db.ExecContext(ctx, copies, found.Sessions-n)
	}
	if err != nil {
		return err
	}
	if err := countAndWalk(ctx, sessions, &found); err != nil {
		return err
	}
	reader := &visitor{transport: newDirect(newKitRouter(sessions)), content: small, held: []byte(answerSmall(valueName, 1))} //nolint:contextcheck // as above
	if err := readBeside(ctx, sessions, reader, cookies, &found); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}

// made is how many sessions the kit makes in SQLite, which would take minutes for all.
// The others are copies, with IDs of their own.
const made = 4096

const copies = `WITH RECURSIVE time(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM time WHERE n < 1000)
INSERT INTO sessions (id, name, kind, user_id, created, since, seen, expires, ended, next, data)
SELECT substr(hex(randomblob(22)), 1, 43), name, kind, user_id, created, since, seen, expires, ended, next, data
FROM time, (SELECT * FROM sessions) LIMIT ?`

func openWalkStore(size walkSize) (*store.Store, *sql.DB, error) {
	if size.Store == inRedis {
		s, err := openRedisstore(surroundings{redis: size.Redis}, redisstore.Config{Prefix: "walk:"})
		return s, nil, err
	}
	size.Dir = filepath.Join(size.Dir, "walk")
	if err := os.MkdirAll(size.Dir, 0o700); err != nil {
		return nil, nil, err
	}
	return openScaleStore(crowdSize{Store: size.Store, Sessions: size.Sessions, Dir: size.Dir})
}

// fillTogether makes n sessions, several at a time, and returns some of their cookies.
func fillTogether(sessions *store.Store, n int) ([]string, error) {
	const workers = 16
	every := max(1, n/4096)
	cookies := make([][]string, workers)
	errs := make([]error, workers)
	done := make(chan struct{})
	for w := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			a := newScaleApp(sessions)
			for i := w; i < n && errs[w] == nil; i += workers {
				user := ""
				if i%2 == 0 {
					user = "user" + strconv.Itoa(i)
				}
				var cookie string
				cookie, errs[w] = a.start(user)
				if i%every == 0 {
					cookies[w] = append(cookies[w], strings.Clone(cookie))
				}
			}
		}()
	}
	for range workers {
		<-done
	}
	var all []string
	for _, some := range cookies {
		all = append(all, some...)
	}
	return all, errors.Join(errs...)
}

// countAndWalk measures Count and All, and looks at the heap in the middle of another
// All.
func countAndWalk(ctx context.Context, sessions *store.Store, found *walk) error {
	const counts = 5
	began := time.Now()
	for range counts {
		c, err := sessions.Count(ctx)
		if err == nil && (c.Live != found.Sessions || c.SignedIn < found.Sessions*40/100) {
			err = fmt.Errorf("counting %d sessions found %+v", found.Sessions, c)
		}
		if err != nil {
			return err
		}
	}
	found.Count = time.Since(began) / counts

	began = time.Now()
	if err := walkOnce(ctx, sessions, found.Sessions, func(int) {}); err != nil {
		return err
	}
	found.All = time.Since(began)

	before := heapInUse()
	return walkOnce(ctx, sessions, found.Sessions, func(i int) {
		if i == found.Sessions/2 {
			found.Held = max(before, heapInUse()) - before
		}
	})
}

func walkOnce(ctx context.Context, sessions *store.Store, want int, each func(i int)) error {
	n := 0
	for _, err := range sessions.All(ctx) {
		if err != nil {
			return err
		}
		each(n)
		n++
	}
	if n != want {
		return fmt.Errorf("going through %d sessions found %d", want, n)
	}
	return nil
}

// readBeside measures reads of sessions at random, alone and while All goes on.
func readBeside(ctx context.Context, sessions *store.Store, reader *visitor, cookies []string, found *walk) error {
	measure := func(goOn func() bool) (reading, error) {
		var times []time.Duration
		for goOn() || len(times) == 0 {
			reader.setCookie(cookies[rand.IntN(len(cookies))]) // #nosec G404 -- it keeps no secret
			began := time.Now()
			if err := reader.work(read); err != nil {
				return reading{}, err
			}
			times = append(times, time.Since(began))
		}
		return reading{quantile(times, 0.5), quantile(times, 0.99)}, nil
	}
	// So that caches hold the same for both. Of a session that was not used for a minute the
	// first read records its use, and a changed record is read from the server again.
	for range 2 {
		for _, cookie := range cookies {
			reader.setCookie(cookie)
			if err := reader.work(read); err != nil {
				return err
			}
		}
	}
	runtime.GC() // what filling the store left behind
	until := time.Now().Add(found.For)
	var err error
	if found.Alone, err = measure(func() bool { return time.Now().Before(until) }); err != nil {
		return err
	}
	walked := make(chan error, 1)
	go func() { walked <- walkOnce(ctx, sessions, found.Sessions, func(int) {}) }()
	found.Beside, err = measure(func() bool { return len(walked) == 0 })
	return errors.Join(err, <-walked)
}

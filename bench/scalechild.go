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
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// scaleProcess is the process that measures one size. It writes what it found
// twice: before the store has swept, and after.
func scaleProcess(ctx context.Context, argument string, out io.Writer) error {
	var found scaleResult
	if err := json.Unmarshal([]byte(argument), &found.crowdSize); err != nil {
		return err
	}
	sessions, db, err := openScaleStore(found.crowdSize) //nolint:contextcheck // OpenSQLite takes none
	if err != nil {
		return err
	}
	defer func() {
		_ = sessions.Close()
		if db != nil {
			_ = db.Close()
		}
	}()
	a := newScaleApp(sessions) //nolint:contextcheck // its handlers have their requests' contexts
	cookies, err := fill(ctx, a, db, &found)
	if err != nil {
		return err
	}
	var expired []string
	if found.Sweep {
		if expired, err = addExpired(ctx, sessions, found.Sessions/10); err != nil {
			return err
		}
	}
	if err := readAtScale(a, cookies, &found); err != nil {
		return err
	}
	if err := collectAtScale(a, cookies, &found); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(found); err != nil {
		return err
	}
	if found.Sweep {
		if err := awaitSweep(ctx, sessions, expired, &found); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(found)
}

func openScaleStore(size crowdSize) (*store.Store, *sql.DB, error) {
	if size.Store == inMemory {
		return memstore.New(), nil, nil
	}
	db, err := sqlstore.OpenSQLite(filepath.Join(size.Dir, fmt.Sprintf("scale-%d.db", size.Sessions)))
	if err != nil {
		return nil, nil, err
	}
	sessions, err := sqlstore.New(db)
	return sessions, db, err
}

// fill makes the sessions through the kit's handler and returns some of their
// cookies.
func fill(ctx context.Context, a *scaleApp, db *sql.DB, found *scaleResult) ([]string, error) {
	every := max(100, found.Sessions/4096) // few enough to weigh nothing
	cookies := make([]string, 0, found.Sessions/every+1)
	before := heapInUse()
	began := time.Now()
	for i := range found.Sessions {
		user := ""
		if found.SignedIn {
			user = "user" + strconv.Itoa(i)
		}
		cookie, err := a.start(user)
		if err != nil {
			return nil, err
		}
		if i%every == 0 {
			cookies = append(cookies, strings.Clone(cookie))
		}
	}
	found.Create = float64(time.Since(began)) / float64(found.Sessions)
	size := float64(heapInUse()) - float64(before)
	if db != nil {
		if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return nil, err
		}
		file, err := os.Stat(filepath.Join(found.Dir, fmt.Sprintf("scale-%d.db", found.Sessions)))
		if err != nil {
			return nil, err
		}
		size = float64(file.Size())
	}
	found.BytesEach = size / float64(found.Sessions)
	return cookies, nil
}

// heapInUse returns the bytes of the heap that are reachable.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one left to finalizers and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// addExpired makes sessions that ran out long enough ago to be removed, and
// returns some of their secrets.
func addExpired(ctx context.Context, sessions *store.Store, n int) ([]string, error) {
	long := time.Now().Add(-store.Retention - time.Hour)
	record := store.Record{Created: long, Seen: long, Expires: long, Values: map[string]string{
		"name": `"tea"`, "theme": `"dark"`, "lang": `"en"`, "csrf": `"2jmj7l5rSw0yVb_vlWAYkK_YBwk"`, "count": `1`,
	}}
	server, _ := kitstore.Of(sessions)
	var secrets []string
	for i := range n {
		secret, _, _, err := server.Create(ctx, record, signin.Attempt{})
		if err != nil {
			return nil, err
		}
		if i%max(1, n/1000) == 0 {
			secrets = append(secrets, secret)
		}
	}
	return secrets, nil
}

// readAtScale measures the reads of sessions at random.
func readAtScale(a *scaleApp, cookies []string, found *scaleResult) error {
	v := &visitor{transport: newDirect(a.handler), content: small, held: []byte(answerSmall(valueName, 1))}
	ops, began := 0, time.Now()
	for time.Since(began) < found.For {
		for range 64 {
			v.setCookie(cookies[rand.IntN(len(cookies))]) // #nosec G404 -- it keeps no secret
			if err := v.work(read); err != nil {
				return err
			}
			ops++
		}
	}
	found.Read = float64(time.Since(began)) / float64(ops)
	return nil
}

// collectAtScale has every core serve requests, a tenth of them writes, and looks
// at the garbage collector from the end of one collection to that of another.
func collectAtScale(a *scaleApp, cookies []string, found *scaleResult) error {
	visitors := make([]*visitor, runtime.GOMAXPROCS(0))
	for i := range visitors {
		visitors[i] = &visitor{transport: newDirect(a.handler), content: small}
	}
	var stop atomic.Bool
	served := make(chan error, 1)
	go func() {
		_, err := together(visitors, func(_ int, v *visitor) (int, error) { return serveSome(v, cookies, &stop) })
		served <- err
	}()
	first := awaitCollections(readCollector().cycles+1, 0)
	last := awaitCollections(first.cycles+3, found.For)
	stop.Store(true)
	if err := <-served; err != nil {
		return err
	}
	found.GCShare, found.Pause = last.since(first)

	runtime.GC()
	idle := readCollector()
	runtime.GC()
	found.Collect = readCollector().cpu - idle.cpu
	return nil
}

// serveSome has sessions at random read, and every tenth time written.
func serveSome(v *visitor, cookies []string, stop *atomic.Bool) (ops int, err error) {
	for ; !stop.Load(); ops++ {
		v.setCookie(cookies[rand.IntN(len(cookies))]) // #nosec G404 -- it keeps no secret
		r := routeReadSmall
		if ops%10 == 0 {
			r = routeWriteSmall
		}
		if _, err := v.send(r); err != nil {
			return ops, err
		}
	}
	return ops, nil
}

var errNotSwept = errors.New("the store did not remove its expired sessions within two minutes")

// awaitSweep waits until the expired sessions are gone, asking for them all the
// while once the first one is.
func awaitSweep(ctx context.Context, sessions *store.Store, expired []string, found *scaleResult) error {
	server, _ := kitstore.Of(sessions)
	left := func(secrets []string) (int, error) {
		n := 0
		for _, secret := range secrets {
			began := time.Now()
			_, _, there, err := server.Load(ctx, "session", secret, true)
			if err != nil {
				return 0, err
			}
			found.SlowestRead = max(found.SlowestRead, time.Since(began))
			if there {
				n++
			}
		}
		return n, nil
	}
	var few []string
	for i := range 16 {
		few = append(few, expired[i*len(expired)/16])
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) { // other processes are measuring
		n, err := left(few)
		if err != nil {
			return err
		}
		if n < len(few) {
			break
		}
		if time.Now().After(end) {
			return errNotSwept
		}
	}
	began := time.Now()
	found.SlowestRead = 0
	for n := 1; n > 0; {
		var err error
		if n, err = left(expired); err != nil {
			return err
		}
	}
	found.Swept, found.SweepFor = found.Sessions/10, time.Since(began)
	return nil
}

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// constants are what the model of docs/scaling.md is made of: costs of one
// request, of one session, or of one change, in ns or bytes.
type constants struct {
	bare, hit, miss, change         float64 // CPU of the application's process for a request over HTTP
	heap, heapSignedIn, file, redis float64 // bytes of a signed-in session but for heap and file
	collect                         float64 // CPU of a garbage collection, for each session in memory
	serverRead, serverChange, news  float64 // CPU of the Redis server's main thread
	newsBytes                       float64
}

func (r *results) constants() constants {
	at := r.plan.httpCells[len(r.plan.httpCells)-1].AtATime
	cpu := func(peer string, w work) float64 {
		return float64(middle(r.of(overHTTP, peer, cell{w, small, at}), func(s sample) time.Duration { return s.CPU }))
	}
	k := constants{
		bare: cpu(bareName, read), hit: cpu(kitRedis, read), miss: cpu(kitRedisDirect, read), change: cpu(kitRedis, write),
		redis: r.redis.BytesSignedIn, serverRead: float64(r.redis.Read.CPU), serverChange: float64(r.redis.Write.CPU),
		news: float64(r.redis.News), newsBytes: r.redis.NewsBytes,
	}
	most := 0
	for _, s := range r.scale {
		switch {
		case s.Sessions < most:
		case s.SignedIn:
			k.heapSignedIn = s.BytesEach
		case s.Store == inSQLite:
			k.file = s.BytesEach
			most = s.Sessions
		default:
			k.heap, k.collect = s.BytesEach, float64(s.Collect)/float64(s.Sessions)
		}
	}
	return k
}

// What the model assumes of an application. The document says so.
const (
	activeShare   = 0.10 // of the live sessions
	requestEvery  = 10.0 // s, of an active session
	changeShare   = 0.10 // of the requests
	seenEvery     = 60.0 // s: an active session is written once in that time at least
	handlerCPU    = 1e6  // ns that the application itself takes for a request
	coresOfANode  = 8
	busy          = 0.5 // how busy cores and server threads may be
	memoryOfAHost = 32 << 30
)

// steps are the live sessions of the sites in the table.
var steps = []float64{1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// A load is what so many live sessions make of requests and of changes.
type load struct{ sessions, requests, changes float64 }

func loadOf(sessions float64) load {
	active := sessions * activeShare
	l := load{sessions: sessions, requests: active / requestEvery}
	l.changes = l.requests*changeShare + active/seenEvery
	return l
}

// nodes returns how many machines the application needs.
func (k constants) nodes(l load) float64 {
	cpu := (l.requests*(handlerCPU+k.hit) + l.changes*(k.change-k.hit)) / 1e9
	return max(1, math.Ceil(cpu/(coresOfANode*busy)))
}

// hits returns the share of the reads that a cache answers, if a request goes to
// any of the nodes. Each change, of which there is one in so many requests of a
// session, empties all caches of it, and each node reads it anew.
func hits(requestsPerChange, nodes float64) float64 {
	first := nodes * (1 - math.Pow(1-1/nodes, requestsPerChange)) // nodes that such a sequence meets
	return max(0, 1-first/requestsPerChange)
}

// server returns how many threads of Redis are busy, without a cache, and with one
// where the requests of a session go to the same node or to any.
func (k constants) server(l load) (direct, sticky, anywhere float64) {
	n := k.nodes(l)
	change := l.changes * k.serverChange
	told := l.changes * n * k.news
	reads := l.requests * k.serverRead
	each := l.requests / l.changes
	direct = (reads + change) / 1e9
	sticky = (reads*(1-hits(each, 1)) + change + told) / 1e9
	anywhere = (reads*(1-hits(each, n)) + change + told) / 1e9
	return direct, sticky, anywhere
}

// evens returns from how many nodes on the cache costs Redis more than it saves,
// where the requests of a session go to the same node; 0 if the news cost too little
// to be measured.
func (k constants) evens() float64 {
	if k.news <= 0 {
		return 0
	}
	l := loadOf(1e6)
	each := l.requests / l.changes
	return k.serverRead * hits(each, 1) * each / k.news
}

// masters returns how many masters a Cluster needs for a load of threads and its
// memory, of which half is left free.
func (k constants) masters(l load, threads float64) float64 {
	return max(1, math.Ceil(threads/busy), math.Ceil(l.sessions*k.redis/(memoryOfAHost/2)))
}

func (k constants) evensText() string {
	if n := k.evens(); n > 0 {
		return digits(math.Ceil(n))
	}
	return "more than could be measured"
}

func (k constants) table() string {
	t := newTable("constant", "measured")
	for _, line := range [][2]string{
		{"CPU of the application for a request over HTTP, bare Gin", duration(k.bare)},
		{"the same with a session from the Redis store's memory", duration(k.hit)},
		{"the same with a session that is read from Redis", duration(k.miss)},
		{"the same with a change that is written to Redis", duration(k.change)},
		{"CPU of Redis for a read", duration(k.serverRead)},
		{"CPU of Redis for a change", duration(k.serverChange)},
		{"CPU of Redis to tell one more process of a change", duration(k.news)},
		{"bytes that this process is sent", digits(k.newsBytes)},
		{"memory of Redis for a signed-in session of five small values", digits(k.redis) + " bytes"},
		{"heap of memstore for a session of five small values, anonymous and signed in", digits(k.heap) + " and " + digits(k.heapSignedIn) + " bytes"},
		{"CPU of a garbage collection, for each session in memory", duration(k.collect)},
		{"SQLite file for a session of five small values", digits(k.file) + " bytes"},
		{"processes from which on the cache costs Redis more than it saves", k.evensText()},
	} {
		t.row(line[0], line[1])
	}
	return t.String()
}

func (k constants) stepTable() string {
	t := newTable("live sessions", "requests/s", "changes/s", "nodes", "memstore", "SQLite file", "Redis", "its busy threads: no cache", "cache, same node", "cache, any node", "masters")
	for _, sessions := range steps {
		l := loadOf(sessions)
		direct, sticky, anywhere := k.server(l)
		t.row(amount(sessions), amount(l.requests), amount(l.changes), digits(k.nodes(l)),
			amount(2*sessions*k.heapSignedIn)+"B", amount(sessions*k.file)+"B", amount(sessions*k.redis)+"B",
			digits(direct), digits(sticky), digits(anywhere), digits(k.masters(l, min(direct, sticky))))
	}
	return t.String()
}

// The part of docs/scaling.md that a run writes is between these lines.
const (
	modelBegins = "<!-- measured: begin. Written by: go -C bench run . -->"
	modelEnds   = "<!-- measured: end -->"
)

// refreshModel puts the constants and what follows from them into the document, if
// there is one.
func (r *results) refreshModel(path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- chosen by who runs it
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fresh, err := replaceModel(string(text), r.model())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(fresh), 0o600) // #nosec G703 -- chosen by who runs it
}

func replaceModel(text, model string) (string, error) {
	before, rest, begins := strings.Cut(text, modelBegins)
	_, after, ends := strings.Cut(rest, modelEnds)
	if !begins || !ends {
		return "", errors.New("the lines between which the measured part stands are missing")
	}
	return before + modelBegins + "\n\n" + model + "\n" + modelEnds + after, nil
}

func (r *results) model() string {
	k := r.constants()
	return fmt.Sprintf("Measured on %s, %s, %d cores:\n\n%s\nWhat follows from them:\n\n%s",
		r.began.UTC().Format(time.DateOnly), r.machine.cpu, r.machine.cores, k.table(), k.stepTable())
}

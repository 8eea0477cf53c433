package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"os"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

var (
	Median       = median
	Percentile   = percentile
	Spread       = spread
	Duration     = duration
	Amount       = amount
	Quantile     = quantile
	Hits         = hits
	ReplaceModel = replaceModel
	Generate     = generate
	Main         = main
	StartScale   = startScale
	StartWalk    = startWalk
	Decades      = decades
	DrawBars     = drawBars
	DrawPlots    = drawPlots
	FullPlan     = fullPlan
	QuickPlan    = quickPlan
)

type (
	Sample     = sample
	Collector  = collector
	Panel      = panel
	Bar        = bar
	Plot       = plot
	Curve      = curve
	Constants  = constants
	Peer       = peer
	Results    = results
	Scale      = scaleResult
	Walk       = walk
	Cell       = cell
	Revocation = revocation
)

const (
	Read      = read
	Write     = write
	SignIn    = signIn
	SignOut   = signOut
	Anonymous = anonymous
	Small     = small
	Large     = large

	ModelBegins = modelBegins
	ModelEnds   = modelEnds
	Accent      = accent
	LineHeight  = lineHeight
)

func NewPanel(title string, bars ...Bar) Panel { return Panel{title: title, bars: bars} }
func NewBar(name string, value float64) Bar    { return Bar{name: name, value: value} }

func NewCurve(name string, values ...float64) Curve { return Curve{name: name, values: values} }

func NewPlot(title string, points []string, curves ...Curve) Plot {
	return Plot{title: title, points: points, curves: curves, text: amount}
}

// Ratio is that of two peers whose rounds took so long for one request.
func Ratio(a, b []float64) float64 { return ratio(samplesOf(a), samplesOf(b)) }

func samplesOf(times []float64) []sample {
	samples := make([]sample, len(times))
	for i, t := range times {
		samples[i] = sample{Ops: 1, Elapsed: time.Duration(t)}
	}
	return samples
}

// NewResults holds one round in process: ns by peer and cell.
func NewResults(found map[string]map[Cell]float64) *Results {
	r := &results{samples: make(map[figure][]sample), trips: make(map[string]map[work]float64), mediums: make(map[string]medium)}
	for peer, cells := range found {
		for c, ns := range cells {
			r.samples[figure{inProcess, peer, c}] = samplesOf([]float64{ns})
		}
	}
	return r
}

func (r *Results) SetTrips(peer string, n float64) { r.trips[peer] = map[work]float64{anonymous: n} }
func (r *Results) SetRevocation(v Revocation)      { r.revocation = v }
func (r *Results) SetScale(s ...Scale)             { r.scale = s }

// Lines returns the measured text and the verdict of each number to reach.
func (r *Results) Lines() map[string][2]string {
	lines := make(map[string][2]string)
	for _, t := range r.targets() {
		lines[t.work] = [2]string{t.measured(), t.verdict()}
	}
	return lines
}

// Ratios is the table of the ratios.
func (r *Results) Ratios() string { return r.ratioTable() }

// NewScale is a size that was measured in memory.
func NewScale(sessions int, signedIn bool, bytes float64) Scale {
	return Scale{crowdSize: crowdSize{Store: inMemory, Sessions: sessions, SignedIn: signedIn}, BytesEach: bytes}
}

func NewCrowdSize(store string, sessions int, d time.Duration, dir string) crowdSize {
	return crowdSize{Store: medium(store), Sessions: sessions, For: d, Dir: dir}
}

func NewWalkSize(store string, sessions int, d time.Duration, dir, redis string) walkSize {
	return walkSize{Store: medium(store), Sessions: sessions, For: d, Dir: dir, Redis: redis}
}

// NewConstants are those that decide whether the cache pays.
func NewConstants(read, change, news float64) Constants {
	return constants{serverRead: read, serverChange: change, news: news, redis: 1000}
}

func (k Constants) Evens() float64 { return k.evens() }

// Server returns the busy threads of Redis for a million live sessions.
func (k Constants) Server() (direct, sticky, anywhere float64) { return k.server(loadOf(1e6)) }

func (k Constants) Masters(sessions, threads float64) float64 {
	return k.masters(load{sessions: sessions}, threads)
}

// Peers are those that need no server.
func Peers() []Peer {
	var alone []peer
	for _, p := range peers() {
		if !p.remote && p.medium != inRedis {
			alone = append(alone, p)
		}
	}
	return alone
}

func (p Peer) Title() string { return p.name }

// Claiming is the peer with other claims.
func (p Peer) Claiming(renews, ends bool) Peer {
	p.renews, p.ends = renews, ends
	return p
}

// Wrapped is the peer behind a middleware.
func (p Peer) Wrapped(wrap func(http.Handler) http.Handler) Peer {
	open := p.open
	p.open = func(s surroundings) (*app, error) {
		a, err := open(s)
		if err == nil {
			a.handler = wrap(a.handler)
		}
		return a, err
	}
	return p
}

// Open opens the peer for a test.
func (p Peer) Open(t *testing.T) *App {
	t.Helper()
	a, err := p.open(Around(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	return &App{p, a}
}

type App struct {
	peer Peer
	app  *app
}

func (a *App) Does(w work) bool      { return a.peer.does(w, small) }
func (a *App) Prove() error          { return prove(a.peer, a.app.connect) }
func (a *App) Handler() http.Handler { return a.app.handler }

// Measure measures a cell for a moment.
func (a *App) Measure(w work, c content, atATime int) (map[work]Sample, error) {
	return newCrowd(a.app.connect).measure(cell{w, c, atATime}, time.Millisecond, false)
}

// Around is what a test opens peers in.
func Around(t *testing.T, redis string) surroundings {
	t.Helper()
	s := surroundings{ctx: t.Context(), dir: t.TempDir(), redis: redis, close: new(closer)}
	t.Cleanup(func() {
		if err := s.close.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Rounds measures apps in turn.
func Rounds(rounds int, cells []Cell, apps ...*App) error {
	r := &runner{log: discard{}, samples: make(map[figure][]sample)}
	for _, a := range apps {
		r.running = append(r.running, &runningPeer{peer: a.peer, app: a.app, crowd: newCrowd(a.app.connect)})
	}
	return r.rounds(inProcess, cells, rounds, time.Millisecond)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// Count counts what f does to a store: through a proxy in front of an address, to
// a SQLite file, or to a backend.
func CountProxy(t *testing.T, address string, f func(address string)) int64 {
	t.Helper()
	count := new(tally)
	c := new(closer)
	proxy, err := count.proxy(t.Context(), address, c)
	if err != nil {
		t.Fatal(err)
	}
	f(proxy)
	if err := c.close(); err != nil {
		t.Error(err)
	}
	return count.n.Load()
}

func CountSQLite(t *testing.T, f func(*sql.DB)) int64 {
	t.Helper()
	around := Around(t, "")
	around.tally = new(tally)
	db, err := openSQLite(around, "counted.db")
	if err != nil {
		t.Fatal(err)
	}
	f(db)
	return around.tally.n.Load()
}

func CountBackend(b store.Backend, f func(store.Backend)) int64 {
	count := new(tally)
	f(count.backend(b))
	return count.n.Load()
}

// StartRedis starts a server for a test. Outside of CI the test is skipped where
// none is installed.
func StartRedis(t *testing.T) string {
	t.Helper()
	around := Around(t, "")
	address, err := startRedis(around.ctx, around.dir, around.close)
	if errors.Is(err, errNoRedis) && os.Getenv("CI") == "" {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func CountTrips(t *testing.T, redis string, name string) map[work]float64 {
	t.Helper()
	for _, p := range peers() {
		if p.name == name {
			counted, err := countPeer(p, Around(t, redis), 20)
			if err != nil {
				t.Fatal(err)
			}
			return counted
		}
	}
	t.Fatalf("there is no peer %q", name)
	return nil
}

func MeasureRevocation(t *testing.T, redis string, tries int) (Revocation, error) {
	t.Helper()
	return measureRevocation(Around(t, redis), tries)
}

func RedisInfo(ctx context.Context, address string) (map[string]string, error) {
	return redisInfo(ctx, address)
}

func (p plan) Cells() []Cell     { return p.cells }
func (p plan) HTTPCells() []Cell { return p.httpCells }

// With is the cell with another work and content, by their names.
func (c Cell) With(w, holding string) Cell {
	c.Work, c.Content = work(w), content(holding)
	return c
}

func (c Collector) Since(before Collector) (float64, time.Duration) { return c.since(before) }

// NewCollector has seen pauses of up to 10, 20 and 30 ms.
func NewCollector(cpu, all time.Duration, pauses ...uint64) Collector {
	return collector{cpu: cpu, all: all, pauses: &metrics.Float64Histogram{Counts: pauses, Buckets: []float64{0, 0.01, 0.02, 0.03}}}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// publish prints the numbers to reach and writes the report and the charts. A
// quick run, whose figures mean nothing, leaves them nowhere unless it is told to.
func (r *results) publish(out string) error {
	fmt.Print("\n", r.targetTable(), "\n", r.ratioTable())
	if r.plan.quick && out == "" {
		dir, err := os.MkdirTemp("", "sessionkit-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		out = dir
	}
	for name, text := range map[string]string{
		"RESULTS.md": r.report(), "chart.svg": r.chart(), "scale.svg": r.plots(),
	} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return r.refreshModel(filepath.Join(out, "..", "docs", "scaling.md"))
}

// A table is one of Markdown.
type table struct{ text strings.Builder }

func newTable(heads ...string) *table {
	t := new(table)
	t.row(heads...)
	rule := make([]string, len(heads))
	for i := range rule {
		rule[i] = "---"
		if i > 0 {
			rule[i] = "--:"
		}
	}
	t.row(rule...)
	return t
}

func (t *table) row(cells ...string) {
	_, _ = t.text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func (t *table) String() string { return t.text.String() }

func (r *results) targetTable() string {
	var t table
	t.row("work", "reach", "measured", "met")
	t.row("---", "---", "---", "---")
	for _, line := range r.targets() {
		verdict := line.verdict()
		if r.plan.quick {
			verdict = "not judged: a quick run"
		}
		t.row(line.work, line.reach, line.measured(), verdict)
	}
	return t.String()
}

func (r *results) report() string {
	var text strings.Builder
	section := func(title string, paragraphs ...string) {
		text.WriteString("\n## " + title + "\n")
		for _, p := range paragraphs {
			if p != "" {
				text.WriteString("\n" + strings.TrimRight(p, "\n") + "\n")
			}
		}
	}
	text.WriteString("# Measured side by side\n\n" + r.circumstances())
	section("Numbers to reach", r.targetTable())
	section("The ratios that matter", r.ratioTable())
	section("How it is measured", method)
	section("In process", "![time of a request](chart.svg)", r.tables(inProcess))
	section("Over HTTP", "From a second process on the same machine, which has to share the cores with the server. Node.js uses one core.", r.tables(overHTTP))
	section("Round trips", "For one request: on the connections to Redis, statements of SQLite, and calls of the store in memory.", r.tripTable())
	section("Many sessions", scaleMethod, "![how cost grows](scale.svg)", r.scaleTable())
	section("Values", "The kit in process, one request at a time: sessions of many values, and of large ones.", r.shapeTable())
	section("Sessions of one user", "", r.directoryTable())
	section("All sessions", walkMethod, r.walkTable())
	section("Redis", "What the kit costs the server, by the server's own statistics, at 64 at a time.", r.redisTable())
	section("Revocation", fmt.Sprintf("One node revokes a session that another one serves from its memory, %d times. From the call until the other one refuses: median %s, p99 %s, longest %s; %d missed.",
		r.revocation.Tries, duration(float64(r.revocation.P50)), duration(float64(r.revocation.P99)), duration(float64(r.revocation.Max)), r.revocation.Missed))
	return text.String()
}

const method = `Every peer answers the same requests with the same bodies, set up as its own documentation advises. Before anything is
measured each one proves that it does the work: what a write stored is read back, a sign-in keeps the values and, where the
library can, makes the ID of before worthless, and a sign-out ends the session. While it is measured, every answer is compared
with what the session must hold.

A session holds five small values, or these and one of 4 kB or of another type, which then is the one that is read and written,
beside the name. A sign-in is that of a visitor who has such a session. Values of other types are measured in process, and each
library keeps them as its documentation shows: those that encode with gob are told of the type. In each round every peer is
measured once, one after the other, when it has worked for 25 ms unmeasured; the figures are medians of the rounds, ± half of
their interquartile range, and the ratios are medians of the ratios within a round. In process a request goes straight to the
handler, with all cores at work where 8 or 64 are under way; its time is the elapsed time divided by the number of requests.
The garbage collector is on.

What differs from the peers' documentation differs in their favour: SQLite files have the settings of sqlstore.OpenSQLite for
everybody (WAL, synchronous NORMAL), gin-contrib redis keeps 64 idle connections, and its limit of 4096 bytes is lifted.`

const scaleMethod = `Each line is a process of its own, whose sessions were made by the kit's handler. Bytes are those of the heap after a collection,
or of the file. The collector's share is that of all CPU time while every core serves requests, a tenth of them writes, and so
is the longest pause. The sweep removes a tenth as many expired sessions.`

const walkMethod = `Half of them are signed in; in SQLite all but some thousand are copies. Each line is a process of its own. What All holds is that of the heap in its middle, after a
collection. The reads are requests for sessions at random, one at a time, once each has been read before: alone, and then while All goes on.`

func (r *results) circumstances() string {
	m := r.machine
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "- command: `%s`, which took %s, in %d rounds\n", strings.TrimSpace(r.command), r.took.Round(time.Second), r.plan.rounds)
	_, _ = fmt.Fprintf(&text, "- date: %s\n", r.began.UTC().Format(time.DateOnly))
	_, _ = fmt.Fprintf(&text, "- machine: %s, %d cores (GOMAXPROCS %d), %s memory, %s\n", m.cpu, m.cores, runtime.GOMAXPROCS(0), m.memory, m.system)
	_, _ = fmt.Fprintf(&text, "- versions: %s\n", strings.Join(m.versions, ", "))
	for _, lack := range r.lacks {
		text.WriteString("- " + lack + "\n")
	}
	return text.String()
}

// tables has one table for each work and content.
func (r *results) tables(where place) string {
	cells := r.plan.cells
	if where == overHTTP {
		cells = r.plan.httpCells
	}
	var text strings.Builder
	for _, w := range countedWorks {
		for _, c := range allContents {
			var atATime []int
			for _, cell := range cells {
				if cell.Content == c && (cell.Work == w || cell.Work == signIn && w == signOut) {
					atATime = append(atATime, cell.AtATime)
				}
			}
			if len(atATime) > 0 {
				_, _ = fmt.Fprintf(&text, "\n### %s\n\n%s", heading(w, c), r.workTable(where, w, c, atATime))
			}
		}
	}
	return strings.TrimLeft(text.String(), "\n")
}

func heading(w work, c content) string {
	title := map[work]string{
		anonymous: "Anonymous request", read: "Read two values", write: "Write one value", update: "Change one value by Update", signIn: "Sign in", signOut: "Sign out",
	}[w]
	switch {
	case w == anonymous:
		return title
	case c.typed():
		return map[work]string{read: "Read", write: "Write"}[w] + " a value: " + string(c)
	case c == large:
		return title + ", five small and one of 4 kB"
	default:
		return title + ", five small"
	}
}

// workTable has a row for each peer. The ratio is to the kit on the same medium.
func (r *results) workTable(where place, w work, c content, atATime []int) string {
	heads := []string{"peer"}
	for _, n := range atATime {
		heads = append(heads, fmt.Sprintf("%d at a time", n), "× sessionkit")
	}
	if where == inProcess {
		heads = append(heads, "allocations", "bytes")
	} else {
		heads = append(heads, fmt.Sprintf("p50, p99 at %d", atATime[len(atATime)-1]), "requests/s", "CPU of the server")
	}
	t := newTable(heads...)
	for _, p := range r.peers {
		row := []string{p}
		var last []sample
		for _, n := range atATime {
			last = r.of(where, p, cell{w, c, n})
			if len(last) == 0 {
				break
			}
			ns := times(last)
			row = append(row, fmt.Sprintf("%s ±%s", duration(median(ns)), percent(spread(ns))), digits(ratio(last, r.of(where, r.rival(p), cell{w, c, n}))))
		}
		if len(last) == 0 {
			continue
		}
		if where == inProcess {
			row = append(row, fmt.Sprintf("%.0f", perOp(last, func(s sample) float64 { return float64(s.Allocs) })),
				fmt.Sprintf("%.0f", perOp(last, func(s sample) float64 { return float64(s.Bytes) })))
		} else {
			row = append(row, duration(float64(middle(last, func(s sample) time.Duration { return s.P50 })))+", "+duration(float64(middle(last, func(s sample) time.Duration { return s.P99 }))),
				amount(1e9/median(times(last))), cpuOf(last))
		}
		t.row(row...)
	}
	return t.String()
}

// cpuOf returns the CPU time of the server for a request, where it is known.
func cpuOf(samples []sample) string {
	cpu := middle(samples, func(s sample) time.Duration { return s.CPU })
	if cpu == 0 {
		return ""
	}
	return duration(float64(cpu))
}

// rival is the store of the kit that a peer is compared with.
func (r *results) rival(p string) string {
	switch r.mediums[p] {
	case inSQLite:
		return kitSQLite
	case inRedis:
		return kitRedis
	case inMemory, inCookie, nowhere:
	}
	return kitMemory
}

func (r *results) tripTable() string {
	t := newTable("peer", "anonymous", "read", "write", "update", "sign in", "sign out")
	for _, p := range r.peers {
		if r.trips[p] == nil {
			continue
		}
		row := []string{p}
		for _, w := range countedWorks {
			if n, counted := r.trips[p][w]; counted {
				row = append(row, digits(n))
			} else {
				row = append(row, "")
			}
		}
		t.row(row...)
	}
	return t.String()
}

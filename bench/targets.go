package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A target is a line of the numbers to reach.
type target struct {
	work, reach string
	checks      []check
}

// A check is one number of a line.
type check struct {
	text    string
	met     bool
	unknown bool // it was not measured
}

func (t target) measured() string {
	texts := make([]string, len(t.checks))
	for i, c := range t.checks {
		texts[i] = c.text
		if !c.met && !c.unknown {
			texts[i] = "**" + c.text + "**"
		}
	}
	return strings.Join(texts, "; ")
}

// verdict tells whether the whole line is met.
func (t target) verdict() string {
	met := "yes"
	for _, c := range t.checks {
		if c.unknown {
			return "not measured"
		}
		if !c.met {
			met = "**no**"
		}
	}
	return met
}

// theFour are the peers that the kit is compared with on work in memory.
var theFour = []string{ginMemory, ginCookie, scsMemory, fiberMemory}

// targets returns the numbers to reach with what was measured.
func (r *results) targets() []target {
	readOnce, writeOnce := cell{read, small, 1}, cell{write, small, 1}
	readMany, writeMany := cell{read, small, maxAtATime}, cell{write, small, maxAtATime}
	free := cell{anonymous, small, 1}
	return []target{
		{
			"read two values, memstore, in process",
			"10 times faster than gin-contrib memstore and cookie, scs memstore, Fiber session; at most 2.5 times bare Gin that parses a cookie",
			append(r.faster(kitMemory, readOnce, 10, theFour...), r.atMost(kitMemory, readOnce, 2.5, bareName)),
		},
		{"write one value, memstore, in process", "10 times faster than the same four", r.faster(kitMemory, writeOnce, 10, theFour...)},
		{
			"anonymous request that touches no session", "at most 2 times bare Gin, no store access",
			append([]check{r.atMost(kitMemory, free, 2, bareName)}, r.noAccess(kitMemory, kitSQLite, kitRedis)...),
		},
		{"read two values, SQLite on disk", "faster than those four in memory", r.faster(kitSQLite, readOnce, 1, theFour...)},
		{
			"read two values, Redis, 64 at a time",
			"15 times scs goredisstore and 30 times gin-contrib redis with the cache on; 2.5 times scs with it off",
			append(append(r.faster(kitRedis, readMany, 15, scsRedis), r.faster(kitRedis, readMany, 30, ginRedis)...),
				r.faster(kitRedisDirect, readMany, 2.5, scsRedis)...),
		},
		{"write one value, Redis, 64 at a time", "3 times scs goredisstore", r.faster(kitRedis, writeMany, 3, scsRedis)},
		{
			"change one value by Update, memstore, in process", "at most 1.2 times a write",
			r.atMostOf(kitMemory, cell{update, small, 1}, 1.2, writeOnce, "a write"),
		},
		{"change one value by Update, Redis", "one round trip with the cache on", r.oneTrip(kitRedis, update)},
		{
			"read a value of a basic type, memstore, in process", "at most 1.1 times an int and a string, and no more allocations",
			r.likeInt("int64", "uint", "float64", "bool", "time.Time", "UUID"),
		},
		{
			"read a struct, memstore, in process", "10 times faster than gin-contrib memstore and cookie, and scs memstore",
			r.faster(kitMemory, cell{read, "struct", 1}, 10, ginMemory, ginCookie, scsMemory),
		},
		{
			"read a list of 20 structs, memstore, in process", "10 times faster than the same three",
			r.faster(kitMemory, cell{read, "list of 20 structs", 1}, 10, ginMemory, ginCookie, scsMemory),
		},
		{"sign in, memstore, in process", "5 times faster than the same three and Fiber session", r.faster(kitMemory, cell{signIn, small, 1}, 5, theFour...)},
		{"sign out, memstore, in process", "5 times faster than the same four", r.faster(kitMemory, cell{signOut, small, 1}, 5, theFour...)},
		{"sign in and out, SQLite, 1 and 64 at a time", "1.2 times faster than every peer", r.signInAndOut(kitSQLite, inSQLite)},
		{"sign in and out, Redis, 1 and 64 at a time", "1.2 times faster than every peer", r.signInAndOut(kitRedis, inRedis)},
		{"everything, in process and over HTTP", "no peer faster by more than the spread", r.ahead()},
		{"revocation seen on another node (Redis)", "p99 under 10 ms, never missed", r.revocation.checks()},
		{"memory at a million sessions of five small values", "at most 700 bytes a session, GC pause and CPU share reported", r.memoryChecks()},
	}
}

// ratioTable has the ratios that matter: what the kit takes, and what the
// fastest of the others does.
func (r *results) ratioTable() string {
	t := newTable("work", "sessionkit", "fastest other", "times faster")
	for _, line := range []struct {
		work   string
		kit    string
		others []string
		cell   cell
	}{
		{"read an int and a string, in memory", kitMemory, theFour, cell{read, small, 1}},
		{"write an int, in memory", kitMemory, theFour, cell{write, small, 1}},
		{"read an int64 (a database ID), in memory", kitMemory, theFour, cell{read, "int64", 1}},
		{"read a time.Time, in memory", kitMemory, theFour, cell{read, "time.Time", 1}},
		{"read a struct, in memory", kitMemory, theFour, cell{read, "struct", 1}},
		{"read a list of 20 structs, in memory", kitMemory, theFour, cell{read, "list of 20 structs", 1}},
		{"write a list of 20 structs, in memory", kitMemory, theFour, cell{write, "list of 20 structs", 1}},
		{"sign in, in memory", kitMemory, theFour, cell{signIn, small, 1}},
		{"read two values, Redis, 64 at a time", kitRedis, []string{ginRedis, scsRedis, fiberRedis}, cell{read, small, maxAtATime}},
		{"write one value, Redis, 64 at a time", kitRedis, []string{ginRedis, scsRedis, fiberRedis}, cell{write, small, maxAtATime}},
	} {
		fastest := slices.MinFunc(line.others, func(a, b string) int {
			return cmp.Compare(r.nanoseconds(inProcess, a, line.cell), r.nanoseconds(inProcess, b, line.cell))
		})
		own, other := r.of(inProcess, line.kit, line.cell), r.of(inProcess, fastest, line.cell)
		t.row(line.work, duration(median(times(own))), fastest+", "+duration(median(times(other))), digits(ratio(other, own)))
	}
	return t.String()
}

// faster checks how many times longer each peer takes than one of the kit's.
func (r *results) faster(kit string, c cell, reach float64, than ...string) []check {
	var checks []check
	for _, p := range than {
		times := ratio(r.of(inProcess, p, c), r.of(inProcess, kit, c))
		checks = append(checks, check{fmt.Sprintf("%s× %s", digits(times), p), times >= reach, times == 0})
	}
	return checks
}

func (r *results) atMost(kit string, c cell, reach float64, of string) check {
	times := ratio(r.of(inProcess, kit, c), r.of(inProcess, of, c))
	return check{fmt.Sprintf("%s times %s", digits(times), of), times <= reach, times == 0}
}

// atMostOf checks how many times longer one work takes than another one.
func (r *results) atMostOf(kit string, c cell, reach float64, than cell, named string) []check {
	times := ratio(r.of(inProcess, kit, c), r.of(inProcess, kit, than))
	return []check{{fmt.Sprintf("%s times %s", digits(times), named), times <= reach, times == 0}}
}

func (r *results) oneTrip(kit string, w work) []check {
	n, counted := r.trips[kit][w]
	return []check{{digits(n) + " round trips", n < 1.05, !counted}}
}

// likeInt checks that values of these types are read, with a string, as quickly as an int:
// out of a session of as many values, by the same handler.
func (r *results) likeInt(contents ...content) (checks []check) {
	ints := r.of(inProcess, kitMemory, cell{read, "int", 1})
	allocs := func(s []sample) float64 {
		return math.Round(perOp(s, func(s sample) float64 { return float64(s.Allocs) }))
	}
	for _, c := range contents {
		one := r.of(inProcess, kitMemory, cell{read, c, 1})
		times, more := ratio(one, ints), allocs(one)-allocs(ints)
		text := fmt.Sprintf("%s times for %s", digits(times), c)
		if more > 0 {
			text += fmt.Sprintf(", %.0f allocations more", more)
		}
		checks = append(checks, check{text, times <= 1.1 && more <= 0, times == 0})
	}
	return checks
}

// signInAndOut checks that the kit signs in and out faster than every peer on its medium.
func (r *results) signInAndOut(kit string, m medium) (checks []check) {
	for _, w := range []work{signIn, signOut} {
		for _, n := range []int{1, maxAtATime} {
			c := cell{w, small, n}
			fastest, times := "no peer", 0.0
			for _, p := range r.peers {
				if t := ratio(r.of(inProcess, p, c), r.of(inProcess, kit, c)); r.mediums[p] == m && !isKit(p) && t > 0 && (times == 0 || t < times) {
					fastest, times = p, t
				}
			}
			checks = append(checks, check{fmt.Sprintf("%s, %d at a time: %s× %s", w, n, digits(times), fastest), times >= 1.2, times == 0})
		}
	}
	return checks
}

func isKit(peer string) bool { return strings.HasPrefix(peer, "sessionkit ") }

// ahead counts the cells in which a peer is faster than the kit on the same medium, by
// more than the spread of either.
func (r *results) ahead() []check {
	cells, ahead := 0, 0
	for f, samples := range r.samples {
		own := r.of(f.place, r.rival(f.peer), f.cell)
		if isKit(f.peer) || f.peer == bareName || len(own) == 0 {
			continue
		}
		cells++
		if ratio(samples, own) < 1-max(spread(times(samples)), spread(times(own))) {
			ahead++
		}
	}
	return []check{{fmt.Sprintf("behind in %d of %d cells", ahead, cells), ahead == 0, cells == 0}}
}

func (r *results) noAccess(kits ...string) []check {
	var checks []check
	for _, p := range kits {
		n, counted := r.trips[p][anonymous]
		checks = append(checks, check{fmt.Sprintf("%s store accesses, %s", digits(n), strings.TrimPrefix(p, "sessionkit ")), n < 0.05, !counted})
	}
	return checks
}

// checks leaves a small share for the store's own questions to the server.
func (r revocation) checks() []check {
	return []check{
		{"p99 " + duration(float64(r.P99)), r.P99 < 10*time.Millisecond, r.Tries == 0},
		{fmt.Sprintf("%d of %d missed", r.Missed, r.Tries), r.Missed == 0, r.Tries == 0},
	}
}

func (r *results) memoryChecks() []check {
	const million, reach = 1_000_000, 700
	var checks []check
	for _, s := range r.scale {
		if s.Store != inMemory || s.Sessions != million {
			continue
		}
		text := fmt.Sprintf("%.0f bytes %s, collector %.1f %% of the CPU, pause %s", s.BytesEach, s.who(), 100*s.GCShare, duration(float64(s.Pause)))
		checks = append(checks, check{text, s.BytesEach <= reach, false})
	}
	if checks == nil {
		return []check{{text: "", unknown: true}}
	}
	return checks
}

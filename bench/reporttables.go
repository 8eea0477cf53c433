package main

import (
	"fmt"
)

func (r *results) scaleTable() string {
	t := newTable("store", "sessions", "bytes each", "to make one", "read two values", "collector's share", "longest pause", "one collection (CPU)", "sweep", "slowest read meanwhile")
	for _, s := range r.scale {
		sweep, slowest := "not waited for", ""
		if s.Swept > 0 {
			sweep = fmt.Sprintf("%s for %s", duration(float64(s.SweepFor)), amount(float64(s.Swept)))
			slowest = duration(float64(s.SlowestRead))
		}
		t.row(string(s.Store), amount(float64(s.Sessions))+" "+s.who(), fmt.Sprintf("%.0f", s.BytesEach), duration(s.Create), duration(s.Read),
			fmt.Sprintf("%.1f %%", 100*s.GCShare), duration(float64(s.Pause)), duration(float64(s.Collect)), sweep, slowest)
	}
	return t.String()
}

func (r *results) shapeTable() string {
	t := newTable("store", "values", "bytes each", "read two", "write one")
	for _, s := range r.shapes {
		t.row(string(s.Store), fmt.Sprint(s.Values), fmt.Sprint(s.Bytes), duration(s.Read), duration(s.Write))
	}
	return t.String()
}

func (r *results) directoryTable() string {
	t := newTable("store", "sessions", "list them", "sign in once more", "end one", "end all, each")
	for _, d := range r.directories {
		each := ""
		if d.EndEach > 0 {
			each = duration(float64(d.EndEach))
		}
		t.row(string(d.Store), fmt.Sprint(d.Sessions), duration(float64(d.List)), duration(float64(d.SignIn)), duration(float64(d.End)), each)
	}
	return t.String()
}

func (r *results) walkTable() string {
	t := newTable("store", "sessions", "Count", "All", "it holds", "read, p50 and p99", "while All goes on")
	times := func(r reading) string { return duration(float64(r.P50)) + ", " + duration(float64(r.P99)) }
	for _, w := range r.walks {
		t.row(string(w.Store), amount(float64(w.Sessions)), duration(float64(w.Count)), duration(float64(w.All)),
			fmt.Sprintf("%.1f MB", float64(w.Held)/1e6), times(w.Alone), times(w.Beside))
	}
	return t.String()
}

func (r *results) redisTable() string {
	t := newTable("", "CPU of the server", "bytes to it", "bytes from it")
	for _, line := range []struct {
		name string
		cost serverCost
	}{{"read without cache", r.redis.Read}, {"write", r.redis.Write}} {
		t.row(line.name, duration(float64(line.cost.CPU)), fmt.Sprintf("%.0f", line.cost.BytesIn), fmt.Sprintf("%.0f", line.cost.Sent))
	}
	t.row("telling one more process of a write", duration(float64(r.redis.News)), "", fmt.Sprintf("%.0f", r.redis.NewsBytes))
	return t.String() + fmt.Sprintf("\nA session of five small values takes %.0f bytes of the server's memory, a signed-in one %.0f.\n", r.redis.BytesAnonymous, r.redis.BytesSignedIn)
}

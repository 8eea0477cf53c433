package main

import (
	"fmt"
	"math"
	"slices"
)

// A plot is curves over the same few points.
type plot struct {
	title  string
	points []string // names of the points, evenly apart
	curves []curve
	text   func(float64) string // of a value
}

type curve struct {
	name   string
	values []float64
}

// plots shows how cost grows with the number of sessions, of values, and of bytes.
func (r *results) plots() string {
	bytes := func(n float64) string { return amount(n) + " B" }
	var all []plot
	growth := func(title string, text func(float64) string, of func(scaleResult) float64) {
		p := plot{title: title, text: text}
		for _, m := range []medium{inMemory, inSQLite} {
			c := curve{name: string(m)}
			points := []string(nil)
			for _, s := range slices.Backward(r.scale) { // the smallest comes last
				if s.Store == m && !s.SignedIn {
					points = append(points, amount(float64(s.Sessions)))
					c.values = append(c.values, of(s))
				}
			}
			p.points, p.curves = points, append(p.curves, c)
		}
		all = append(all, p)
	}
	growth("bytes of a session, by number of sessions", bytes, func(s scaleResult) float64 { return s.BytesEach })
	growth("reading two values, by number of sessions", duration, func(s scaleResult) float64 { return s.Read })
	growth("the garbage collector's share of the CPU, by number of sessions", func(v float64) string { return digits(v) + " %" }, func(s scaleResult) float64 { return 100 * s.GCShare })
	growth("its longest pause, by number of sessions", duration, func(s scaleResult) float64 { return float64(s.Pause) })
	growth("one garbage collection (CPU time), by number of sessions", duration, func(s scaleResult) float64 { return float64(s.Collect) })
	if r.scaleSwept() {
		growth("removing expired sessions, a tenth of all, by number of sessions", duration, func(s scaleResult) float64 { return float64(s.SweepFor) })
	}
	for _, w := range []work{read, write} {
		what := map[work]string{read: "reading two values", write: "writing one value"}[w]
		all = append(all,
			r.shapePlot(what+", by number of values in the session", w, func(s shape) (string, bool) { return amount(float64(s.Values)), s.Bytes == sizes[0] }),
			r.shapePlot(what+", by bytes of a value", w, func(s shape) (string, bool) { return byteSize(s.Bytes), s.Values == counts[0] }))
	}
	return drawPlots("How cost grows", all)
}

// byteSize writes a power of two.
func byteSize(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

func (r *results) scaleSwept() bool {
	for _, s := range r.scale {
		if s.Swept > 0 {
			return true
		}
	}
	return false
}

// shapePlot plots the shapes that belong to it, which of names.
func (r *results) shapePlot(title string, w work, of func(shape) (name string, belongs bool)) plot {
	p := plot{title: title, text: duration}
	for _, m := range []medium{inMemory, inSQLite} {
		c := curve{name: string(m)}
		p.points = nil
		for _, s := range r.shapes {
			name, belongs := of(s)
			if s.Store != m || !belongs {
				continue
			}
			p.points = append(p.points, name)
			if w == read {
				c.values = append(c.values, s.Read)
			} else {
				c.values = append(c.values, s.Write)
			}
		}
		p.curves = append(p.curves, c)
	}
	return p
}

const (
	plotWidth, plotHeight = 450, 200
	plotLeft, plotBottom  = 60, 40
	lineHeight            = 14.0
)

// drawPlots draws plots in two columns, on logarithmic scales.
func drawPlots(title string, plots []plot) string {
	d := newDrawing(2*plotWidth, 40+(len(plots)+1)/2*plotHeight, title)
	d.write(10, 22, "start", bold+` font-size="15"`, title)
	for i, p := range plots {
		d.drawPlot(p, float64(10+i%2*plotWidth), float64(40+i/2*plotHeight))
	}
	return d.end()
}

func (d *drawing) drawPlot(p plot, left, top float64) {
	const width, height = plotWidth - plotLeft - 130, plotHeight - plotBottom - 40
	low, high := decades(p.curves)
	x := func(i int) float64 { return left + plotLeft + width*float64(i)/float64(max(1, len(p.points)-1)) }
	y := func(v float64) float64 { return top + 36 + height*(high-math.Log10(v))/(high-low) }
	d.write(left, top+16, "start", bold, p.title)
	for v := low; v <= high; v++ {
		at := y(math.Pow(10, v))
		d.line([][2]float64{{x(0), at}, {x(len(p.points) - 1), at}}, ink, 0.3)
		d.write(x(0)-8, at+4, "end", "", p.text(math.Pow(10, v)))
	}
	for i, name := range p.points {
		d.write(x(i), top+plotHeight-plotBottom+14, "middle", "", name)
	}
	last := math.Inf(-1) // where the name before stands
	for i, c := range p.curves {
		colour := []string{accent, accent2}[i%2]
		var points [][2]float64
		for n, v := range c.values {
			if v > 0 {
				points = append(points, [2]float64{x(n), y(v)})
				d.dot(x(n), y(v), colour)
			}
		}
		d.line(points, colour, 2)
		if n := len(points); n > 0 {
			at := points[n-1][1] + 4
			if apart := at - last; math.Abs(apart) < lineHeight {
				at = last + math.Copysign(lineHeight, apart)
			}
			d.write(points[n-1][0]+8, at, "start", "", fmt.Sprintf("%s, %s", c.name, p.text(c.values[len(c.values)-1])))
			last = at
		}
	}
}

// decades returns the powers of ten that all values are between.
func decades(curves []curve) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, v := range c.values {
			if v > 0 {
				low, high = min(low, math.Floor(math.Log10(v))), max(high, math.Ceil(math.Log10(v)))
			}
		}
	}
	if low >= high {
		return 0, 1
	}
	return low, high
}

package main

import "strings"

// A panel is a set of bars on one scale.
type panel struct {
	title string
	bars  []bar
}

type bar struct {
	name  string
	value float64 // ns
}

// chart shows what two works cost with each peer, a row of panels for each medium.
func (r *results) chart() string {
	rows := []struct {
		where   string
		atATime int
		peers   []string
	}{
		{"memory", 1, []string{bareName, kitMemory, ginMemory, ginCookie, scsMemory, fiberMemory}},
		{"SQLite on disk", 1, []string{kitSQLite, ginSQLite, scsSQLite}},
		{"Redis, 64 at a time", maxAtATime, []string{kitRedis, kitRedisDirect, ginRedis, scsRedis, fiberRedis}},
	}
	var panels []panel
	for _, row := range rows {
		for _, w := range []struct {
			work work
			name string
		}{{read, "read two values"}, {write, "write one value"}} {
			p := panel{title: row.where + ": " + w.name}
			for _, name := range row.peers {
				p.bars = append(p.bars, bar{name, r.nanoseconds(inProcess, name, cell{w.work, small, row.atATime})})
			}
			panels = append(panels, p)
		}
	}
	return drawBars("Time of a request, in process; shorter is better", panels)
}

const (
	panelWidth = 450
	labelWidth = 232
	barWidth   = panelWidth - labelWidth - 80 // what is left beside the value
	barStep    = 22
)

// drawBars draws panels in two columns.
func drawBars(title string, panels []panel) string {
	height := 44
	for i := 0; i < len(panels); i += 2 {
		height += 40 + barStep*len(panels[i].bars)
	}
	d := newDrawing(2*panelWidth, height, title)
	d.write(10, 22, "start", bold+` font-size="15"`, title)
	top := 44.0
	for i, p := range panels {
		left := float64(10 + i%2*panelWidth)
		d.drawPanel(p, left, top)
		if i%2 == 1 {
			top += float64(40 + barStep*len(p.bars))
		}
	}
	return d.end()
}

func (d *drawing) drawPanel(p panel, left, top float64) {
	longest := 0.0
	for _, b := range p.bars {
		longest = max(longest, b.value)
	}
	d.write(left, top+14, "start", bold, p.title)
	for i, b := range p.bars {
		y := top + 24 + float64(i*barStep)
		colour, style := muted, ""
		if strings.HasPrefix(b.name, "sessionkit") {
			colour, style = accent, bold
		}
		width := 1.0
		if longest > 0 {
			width = max(1, barWidth*b.value/longest)
		}
		d.write(left+labelWidth-8, y+12, "end", style, b.name)
		d.bar(left+labelWidth, y, width, barStep-6, colour)
		d.write(left+labelWidth+width+6, y+12, "start", style, duration(b.value))
	}
}

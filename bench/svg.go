package main

import (
	"fmt"
	"html"
	"strings"
)

// The colours have contrast enough on white and on black, so that a page need not
// say which it is.
const (
	ink     = "#6e7781" // text and axes
	accent  = "#2f81f7" // sessionkit
	accent2 = "#d9822b" // its second line
	muted   = "#9aa4ae" // everybody else
)

// A drawing is an SVG image in the making.
type drawing struct{ text strings.Builder }

func newDrawing(width, height int, title string) *drawing {
	d := new(drawing)
	_, _ = fmt.Fprintf(&d.text, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, sans-serif" font-size="12">
<title>%s</title>
`, width, height, width, height, html.EscapeString(title))
	return d
}

func (d *drawing) write(x, y float64, anchor, style, text string) {
	_, _ = fmt.Fprintf(&d.text, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>%s</text>`+"\n", x, y, anchor, ink, style, html.EscapeString(text))
}

const bold = ` font-weight="600"`

func (d *drawing) bar(x, y, width, height float64, colour string) {
	_, _ = fmt.Fprintf(&d.text, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" fill="%s"/>`+"\n", x, y, width, height, colour)
}

func (d *drawing) line(points [][2]float64, colour string, width float64) {
	var path strings.Builder
	for _, p := range points {
		_, _ = fmt.Fprintf(&path, "%.1f,%.1f ", p[0], p[1])
	}
	_, _ = fmt.Fprintf(&d.text, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"/>`+"\n", strings.TrimSpace(path.String()), colour, width)
}

func (d *drawing) dot(x, y float64, colour string) {
	_, _ = fmt.Fprintf(&d.text, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, colour)
}

func (d *drawing) end() string {
	d.text.WriteString("</svg>\n")
	return d.text.String()
}

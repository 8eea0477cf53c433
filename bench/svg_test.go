package main_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

// elements returns the attributes of the elements of one name in an SVG.
func elements(t *testing.T, svg, name string) []map[string]string {
	t.Helper()
	var found []map[string]string
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == name {
			attributes := make(map[string]string)
			for _, a := range e.Attr {
				attributes[a.Name.Local] = a.Value
			}
			found = append(found, attributes)
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return n
}

func TestBarsAreAsLongAsTheirValues(t *testing.T) {
	svg := main.DrawBars("a <title>",
		[]main.Panel{main.NewPanel("read", main.NewBar("other & co", 20_000), main.NewBar("sessionkit memstore", 5000)), main.NewPanel("write")})
	bars := elements(t, svg, "rect")
	require.Len(t, bars, 2)
	assert.InDelta(t, 4, number(t, bars[0]["width"])/number(t, bars[1]["width"]), 0.05)
	assert.Equal(t, main.Accent, bars[1]["fill"])
	assert.NotEqual(t, main.Accent, bars[0]["fill"])
	for _, text := range []string{"a &lt;title&gt;", "other &amp; co", "20 µs", "5 µs"} {
		assert.Contains(t, svg, text)
	}
}

func TestPlotsAreLogarithmic(t *testing.T) {
	svg := main.DrawPlots("growth", []main.Plot{main.NewPlot("cost", []string{"1", "2", "3"}, main.NewCurve("memory", 1, 10, 100))})
	dots := elements(t, svg, "circle")
	require.Len(t, dots, 3)
	step := number(t, dots[0]["cy"]) - number(t, dots[1]["cy"])
	assert.Positive(t, step, "more is higher")
	assert.InDelta(t, step, number(t, dots[1]["cy"])-number(t, dots[2]["cy"]), 0.2, "ten times is one step")
	assert.InDelta(t, number(t, dots[1]["cx"])-number(t, dots[0]["cx"]), number(t, dots[2]["cx"])-number(t, dots[1]["cx"]), 0.2)
}

func TestNamesOfCurvesDoNotCover(t *testing.T) {
	for _, ends := range [][2]float64{{100, 100}, {100, 99}, {99, 100}} {
		svg := main.DrawPlots("growth", []main.Plot{main.NewPlot("cost", []string{"1", "2"},
			main.NewCurve("memory", 1, ends[0]), main.NewCurve("SQLite", 1, ends[1]))})
		names := elements(t, svg, "text")
		memory, sqlite := names[len(names)-2], names[len(names)-1]
		assert.Equal(t, memory["x"], sqlite["x"])
		assert.InDelta(t, main.LineHeight, math.Abs(number(t, memory["y"])-number(t, sqlite["y"])), 0.2)
	}
}

func TestDecades(t *testing.T) {
	low, high := main.Decades([]main.Curve{main.NewCurve("a", 15, 0), main.NewCurve("b", 2500)})
	assert.Equal(t, [2]float64{1, 4}, [2]float64{low, high})
	low, high = main.Decades(nil)
	assert.Less(t, low, high, "of nothing there is a scale too")
}

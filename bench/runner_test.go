package main_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

func TestPeersTakeTurns(t *testing.T) {
	var mu sync.Mutex
	var turns []string
	note := func(name string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				turns = append(turns, name)
				mu.Unlock()
				next.ServeHTTP(w, r)
			})
		}
	}
	a := find(t, "sessionkit memstore").Wrapped(note("A")).Open(t)
	b := find(t, "scs memstore").Wrapped(note("B")).Open(t)
	require.NoError(t, main.Rounds(3, []main.Cell{{Work: main.Read, Content: main.Small, AtATime: 1}}, a, b))
	assert.Equal(t, []string{"A", "B", "A", "B", "A", "B"}, slices.Compact(turns))
}

func TestMeasure(t *testing.T) {
	for _, peer := range []string{"sessionkit memstore", "gin-contrib cookie", "scs memstore", "Fiber session, memory"} {
		t.Run(peer, func(t *testing.T) {
			a := find(t, peer).Open(t)
			for _, w := range main.QuickPlan().Cells() {
				if !a.Does(w.Work) {
					continue
				}
				found, err := a.Measure(w.Work, main.Small, 4)
				require.NoError(t, err)
				if w.Work == main.SignIn {
					assert.Positive(t, found[main.SignOut].Ops, "signing in and out are measured together")
				}
				s := found[w.Work]
				assert.Positive(t, s.Ops)
				assert.Positive(t, s.Elapsed)
				assert.Positive(t, s.Allocs)
			}
		})
	}
}

// TestMeasureChecksAnswers has a session lose its value while it is measured.
func TestMeasureChecksAnswers(t *testing.T) {
	reads := 0
	lose := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/small/read" {
				if reads++; reads > 1 { // the first is its proof that it holds the value
					_, _ = w.Write([]byte("none"))
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
	_, err := find(t, "sessionkit memstore").Wrapped(lose).Open(t).Measure(main.Read, main.Small, 1)
	require.ErrorContains(t, err, `the answer is "none", not "tea 1"`)
}

// TestMeasureProvesWrites has the store forget what is written while it is measured.
func TestMeasureProvesWrites(t *testing.T) {
	forget := answering(map[string]string{"/small/write": "tea 7"})
	_, err := find(t, "sessionkit memstore").Wrapped(forget).Open(t).Measure(main.Write, main.Small, 2)
	require.ErrorContains(t, err, `the answer is "tea 1", not "tea 7"`)
}

func TestPlansMeasureEverything(t *testing.T) {
	full := main.FullPlan(10)
	for _, atATime := range []int{1, 8, 64} {
		for _, w := range []main.Cell{
			{Work: main.Anonymous, Content: main.Small},
			{Work: main.Read, Content: main.Small},
			{Work: main.Read, Content: main.Large},
			{Work: main.Write, Content: main.Small},
			{Work: main.Write, Content: main.Large},
			{Work: main.SignIn, Content: main.Small},
		} {
			w.AtATime = atATime
			assert.Contains(t, full.Cells(), w)
			assert.Contains(t, full.HTTPCells(), w)
		}
	}
	quick := main.QuickPlan()
	for _, c := range []main.Cell{{Work: main.Read, Content: main.Small, AtATime: 1}, {Work: main.Read, Content: main.Small, AtATime: 64}, {Work: main.Write, Content: main.Small, AtATime: 64}} {
		assert.Contains(t, quick.Cells(), c, "the numbers to reach need it")
	}
}

func TestCollector(t *testing.T) {
	before := main.NewCollector(time.Second, 10*time.Second, 5, 0, 0)
	after := main.NewCollector(2*time.Second, 14*time.Second, 5, 2, 0)
	share, longest := after.Since(before)
	assert.InDelta(t, 0.25, share, 1e-9)
	assert.Equal(t, 20*time.Millisecond, longest, "the upper bound of the highest bucket that grew")
	share, longest = before.Since(before)
	assert.Zero(t, share)
	assert.Zero(t, longest)
}

package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

func TestMedianAndSpread(t *testing.T) {
	for name, test := range map[string]struct {
		values         []float64
		median, spread float64
	}{
		"none":                     {nil, 0, 0},
		"one":                      {[]float64{7}, 7, 0},
		"odd, unsorted":            {[]float64{9, 1, 5}, 5, 0.4},
		"even":                     {[]float64{1, 2, 3, 4}, 2.5, 0.3},
		"an outlier weighs little": {[]float64{10, 10, 10, 10, 1000}, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := append([]float64(nil), test.values...)
			assert.InDelta(t, test.median, main.Median(test.values), 1e-9)
			assert.InDelta(t, test.spread, main.Spread(test.values), 1e-9)
			assert.Equal(t, before, test.values, "the values stay in the order of their rounds")
		})
	}
}

func TestRatioComparesWithinARound(t *testing.T) {
	// The machine is ten times slower in the second round: the medians' ratio would
	// be that of two rounds.
	assert.InDelta(t, 2, main.Ratio([]float64{20, 200, 20}, []float64{10, 100, 10}), 1e-9)
	assert.InDelta(t, 3, main.Ratio([]float64{30, 300}, []float64{10, 100, 1}), 1e-9, "a round that one of them lacks")
	assert.Zero(t, main.Ratio(nil, []float64{1}))
}

func TestQuantile(t *testing.T) {
	times := make([]time.Duration, 1000)
	for i := range times {
		times[len(times)-1-i] = time.Duration(i)
	}
	assert.Equal(t, time.Duration(500), main.Quantile(times, 0.5))
	assert.Equal(t, time.Duration(990), main.Quantile(times, 0.99))
	assert.Equal(t, time.Duration(999), main.Quantile(times, 1))
	assert.Zero(t, main.Quantile(nil, 0.5))
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for ns, want := range map[float64]string{
		0: "0 ns", 7: "7 ns", 123.4: "123 ns", 999.6: "1.00 µs", 1234: "1.23 µs", 56_789: "56.8 µs", 2e9: "2 s",
	} {
		assert.Equal(t, want, main.Duration(ns))
	}
	for n, want := range map[float64]string{12: "12", 1500: "1.50 k", 1e6: "1 M", 999_999: "1.00 M", 2.56e10: "25.6 G"} {
		assert.Equal(t, want, main.Amount(n))
	}
}

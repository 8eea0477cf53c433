package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// median returns the middle of the values, 0 of none.
func median(values []float64) float64 { return percentile(values, 0.5) }

// percentile interpolates between the two values that are next to it.
func percentile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := share * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// spread returns half of the interquartile range as a share of the median.
func spread(values []float64) float64 {
	m := median(values)
	if m == 0 {
		return 0
	}
	return (percentile(values, 0.75) - percentile(values, 0.25)) / 2 / m
}

// ratio returns the median of how many times longer a took than b in the same
// round, 0 if there is no round of both.
func ratio(a, b []sample) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i].nanoseconds()/b[i].nanoseconds())
	}
	return median(ratios)
}

func times(samples []sample) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = s.nanoseconds()
	}
	return values
}

// perOp returns the median of a quantity for one request.
func perOp(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s) / float64(max(s.Ops, 1))
	}
	return median(values)
}

// middle returns the median of a duration.
func middle(samples []sample, of func(sample) time.Duration) time.Duration {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = float64(of(s))
	}
	return time.Duration(median(values))
}

// duration writes nanoseconds with three digits.
func duration(ns float64) string {
	switch {
	case ns < 999.5:
		return digits(ns) + " ns"
	case ns < 999.5e3:
		return digits(ns/1e3) + " µs"
	case ns < 999.5e6:
		return digits(ns/1e6) + " ms"
	default:
		return digits(ns/1e9) + " s"
	}
}

// amount writes a number with three digits and a letter for its size.
func amount(n float64) string {
	switch {
	case n < 999.5:
		return digits(n)
	case n < 999.5e3:
		return digits(n/1e3) + " k"
	case n < 999.5e6:
		return digits(n/1e6) + " M"
	default:
		return digits(n/1e9) + " G"
	}
}

// digits writes a number with three significant digits, whole ones in full.
func digits(n float64) string {
	switch {
	case math.Abs(n) >= 99.95 || n == math.Trunc(n):
		return fmt.Sprintf("%.0f", n)
	case math.Abs(n) >= 9.995:
		return fmt.Sprintf("%.1f", n)
	default:
		return fmt.Sprintf("%.2f", n)
	}
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

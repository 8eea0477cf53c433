//go:build race

package kittest

// RaceEnabled says whether the race detector runs.
const RaceEnabled = true

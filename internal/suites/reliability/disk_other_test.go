//go:build !linux

package reliability_test

import "testing"

func mountSmallDisk(t *testing.T, _ string) {
	t.Helper()
	skip(t, "a disk in memory is made on Linux only")
}

package testserver

import "testing"

// Chromium skips the test where Chromium is not installed as chromium.
func Chromium(tb testing.TB) {
	tb.Helper()
	if _, err := find("chromium"); err != nil {
		Skip(tb, err)
	}
}

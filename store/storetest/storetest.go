// Package storetest holds the contract of a [store.Backend] as tests. The author
// of a backend calls [Run] from a test of their own:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Backend { return newBackend(t) })
//	}
//
// A failure says which rule is broken, in words. Run the tests with -race.
package storetest

import (
	"testing"

	"github.com/gin-sessionkit/sessionkit/store"
)

// Run checks that a backend keeps the contract. newBackend is called for each
// group of rules and returns an empty backend, or one whose records do not
// interfere; Run closes it.
func Run(t *testing.T, newBackend func(t *testing.T) store.Backend) {
	t.Helper()
	for _, group := range []struct {
		name  string
		rules func(*suite)
	}{
		{"create and load", createAndLoad},
		{"text", text},
		{"update", update},
		{"condition", condition},
		{"size", size},
		{"expiry", expiry},
		{"rotate", rotate},
		{"peek", peek},
		{"end", ending},
		{"delete", remove},
		{"list", list},
		{"scan", scan},
		{"count", count},
		{"kinds", kinds},
		{"watch", watch},
		{"clock", clock},
		{"concurrent updates", concurrentUpdates},
		{"conditional updates", conditionalUpdates},
		{"size against updates", sizeAgainstUpdates},
		{"peek against update", peekAgainstUpdate},
		{"update against load", updateAgainstLoad},
		{"update against end", updateAgainstEnd},
		{"update against delete", updateAgainstDelete},
		{"update against rotate", updateAgainstRotate},
		{"rotate against rotate", rotateAgainstRotate},
		{"rotate against end", rotateAgainstEnd},
		{"rotate against list", rotateAgainstList},
		{"rotate against scan", rotateAgainstScan},
		{"random operations", randomOperations},
		{"close", closing},
	} {
		t.Run(group.name, func(t *testing.T) {
			b := newBackend(t)
			defer func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close must succeed, also a second time: %v", err)
				}
			}()
			group.rules(&suite{T: t, b: b})
		})
	}
}

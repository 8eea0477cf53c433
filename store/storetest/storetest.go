// Package storetest holds the contract of a [store.Backend] as tests. The author
// of a backend calls [Run] from a test of their own, and [RunShared] as well if several
// processes can share the medium:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Backend { return newBackend(t) })
//	}
//
// A failure says which rule is broken, in words. Run the tests with -race.
package storetest

import (
	"slices"
	"testing"

	"github.com/gin-sessionkit/sessionkit/store"
)

// A group is rules that are checked on one backend.
type group struct {
	name  string
	rules func(*suite)
}

// sequential are the groups of one operation after the other.
var sequential = []group{
	{"create and load", createAndLoad},
	{"text", text},
	{"update", update},
	{"times", times},
	{"condition", condition},
	{"condition on texts", conditionOnTexts},
	{"condition on what looks alike", conditionOnAlike},
	{"condition on names", conditionOnNames},
	{"condition on the dead", conditionOnTheDead},
	{"size", size},
	{"size with a condition", sizeWithCondition},
	{"size beyond the bound", sizeBeyondTheBound},
	{"size of a rotation", sizeOfRotation},
	{"size of the dead", sizeOfTheDead},
	{"size of many values", sizeOfManyValues},
	{"size in bytes", sizeInBytes},
	{"expiry", expiry},
	{"retention", retention},
	{"rotate", rotate},
	{"trace", trace},
	{"end", ending},
	{"end of several", endingOfSeveral},
	{"delete", remove},
	{"list", list},
	{"list of the changed", listOfChanged},
	{"load fresh", loadFresh},
	{"many sessions", manySessions},
	{"scan", scan},
	{"scan without a lock", scanWithoutLock},
	{"scan that is cancelled", scanCancelled},
	{"count", count},
	{"kinds", kinds},
	{"cancelled", cancelled},
	{"cancelled create", cancelledCreate},
	{"cancelled update", cancelledUpdate},
	{"cancelled rotate", cancelledRotate},
	{"cancelled end", cancelledEnd},
	{"cancelled delete", cancelledDelete},
}

// concurrent are the groups of operations at the same time.
var concurrent = []group{
	{"create against create", createAgainstCreate},
	{"concurrent updates", concurrentUpdates},
	{"conditional updates", conditionalUpdates},
	{"size against updates", sizeAgainstUpdates},
	{"size of a rotation against updates", sizeOfRotationAgainstUpdates},
	{"update against load", updateAgainstLoad},
	{"update against end", updateAgainstEnd},
	{"update against delete", updateAgainstDelete},
	{"update against rotate", updateAgainstRotate},
	{"rotate against rotate", rotateAgainstRotate},
	{"rotate against end", rotateAgainstEnd},
	{"rotate against list", rotateAgainstList},
	{"rotate against scan", rotateAgainstScan},
	{"end against end", endAgainstEnd},
	{"delete against delete", deleteAgainstDelete},
	{"random operations", randomOperations},
}

// peeking are the groups of what is read once a session is stored, which peek by themselves
// if the backend can.
var peeking = []group{
	{"peek against update", peekAgainstUpdate},
	{"peek of a rotation against update", peekOfRotationAgainstUpdate},
}

// Run checks that a backend keeps the contract. newBackend is called for each
// group of rules and returns an empty backend, or one whose records do not
// interfere; Run closes it. A client that newBackend makes is closed by t.Cleanup.
//
// A [store.PeekingBackend] is checked a second time, with CreateAndPeek and RotateAndPeek in
// place of Create and Rotate.
func Run(t *testing.T, newBackend func(t *testing.T) store.Backend) {
	t.Helper()
	others := []group{{"peek", peek}, {"watch", watch}, {"clock", clock}, {"close", closing}}
	for _, g := range slices.Concat(sequential, concurrent, peeking, others) {
		t.Run(g.name, func(t *testing.T) { check(t, g, newBackend(t), nil) })
	}
	t.Run("peeking", func(t *testing.T) {
		if !peeks(t, newBackend(t)) {
			return
		}
		for _, g := range slices.Concat(sequential, concurrent) {
			t.Run(g.name, func(t *testing.T) { check(t, g, newBackend(t), alwaysPeeking) })
		}
	})
}

// RunShared checks what the contract says of several processes that share a medium, in
// addition to [Run]. newBackends is called for each group of rules and returns two backends
// over one medium, as two processes have them: each with a client or a connection pool of its
// own, if the backend has one. The medium is empty, or its records do not interfere;
// RunShared closes both backends.
func RunShared(t *testing.T, newBackends func(t *testing.T) (one, other store.Backend)) {
	t.Helper()
	t.Run("shared", func(t *testing.T) {
		for _, g := range []struct {
			name  string
			rules func(one, other *suite)
		}{
			{"fresh", freshOfAnother},
			{"load", loadOfAnother},
			{"watch", watchOfAnother},
			{"clock", clockOfAnother},
			{"count", countOfAnother},
		} {
			t.Run(g.name, func(t *testing.T) {
				one, other := newBackends(t)
				defer closeBackend(t, one)
				defer closeBackend(t, other)
				g.rules(newSuite(t, one), newSuite(t, other))
			})
		}
		for _, g := range slices.Concat(concurrent, peeking) {
			t.Run(g.name, func(t *testing.T) {
				one, other := newBackends(t)
				defer closeBackend(t, other)
				check(t, g, one, func(one store.Backend) store.Backend { return &processes{one: one, other: other} })
			})
		}
	})
}

// check runs a group of rules on a backend, or on what is made of it.
func check(t *testing.T, g group, b store.Backend, of func(store.Backend) store.Backend) {
	t.Helper()
	defer closeBackend(t, b)
	s := newSuite(t, b)
	if of != nil {
		s.b = of(b)
	}
	g.rules(s)
}

func closeBackend(t *testing.T, b store.Backend) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Errorf("Close must succeed, also a second time: %v", err)
	}
}

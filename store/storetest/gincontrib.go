package storetest

import (
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/tester"
)

// RunGinContrib runs the tests that gin-contrib/sessions has for its own stores
// over a store, without the middleware.
func RunGinContrib(t *testing.T, newStore func(t *testing.T) sessions.Store) {
	t.Helper()
	t.Run("GetSet", func(t *testing.T) { tester.GetSet(t, newStore) })
	t.Run("DeleteKey", func(t *testing.T) { tester.DeleteKey(t, newStore) })
	t.Run("Flashes", func(t *testing.T) { tester.Flashes(t, newStore) })
	t.Run("Clear", func(t *testing.T) { tester.Clear(t, newStore) })
	t.Run("Options", func(t *testing.T) { tester.Options(t, newStore) })
	t.Run("Many", func(t *testing.T) { tester.Many(t, newStore) })
	t.Run("ManyStores", func(t *testing.T) { tester.ManyStores(t, newStore) })
}

package turn_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/internal/turn"
)

// TestTurns: those of one session come one after the other, in the order in which they asked.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turn.New()
		assert.False(t, turns.Busy("a"))
		pass := turns.Take(t.Context(), "a")
		assert.True(t, turns.Busy("a"))
		var served []int
		for i := range 3 {
			go func() {
				next := turns.Take(t.Context(), "a")
				served = append(served, i)
				next()
			}()
			synctest.Wait()
		}
		assert.Empty(t, served)
		pass()
		synctest.Wait()
		assert.Equal(t, []int{0, 1, 2}, served)
		assert.False(t, turns.Busy("a"))
	})
}

// TestTurnsOfOtherSessions: a request that keeps its turn for long, as one may whose body
// arrives slowly, is in nobody else's way.
func TestTurnsOfOtherSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turn.New()
		defer turns.Take(t.Context(), "slow")()
		began := time.Now()
		for i := range 1000 {
			id := fmt.Sprint(i)
			assert.False(t, turns.Busy(id))
			turns.Take(t.Context(), id)()
			assert.False(t, turns.Busy(id))
		}
		assert.Zero(t, time.Since(began))
	})
}

// TestTurnThatDoesNotCome: nobody waits for longer than a second, or than the client does.
func TestTurnThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turn.New()
		pass := turns.Take(t.Context(), "a")
		began := time.Now()
		turns.Take(t.Context(), "a")()
		assert.Equal(t, time.Second, time.Since(began))
		gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		turns.Take(gone, "a")()
		assert.Equal(t, time.Second+time.Millisecond, time.Since(began))
		assert.True(t, turns.Busy("a"))
		pass()
		assert.False(t, turns.Busy("a"))
	})
}

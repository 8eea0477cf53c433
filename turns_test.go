package sessionkit_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// TestNobodyIsTooLateEveryTime: of many requests that change one value without a pause
// none needs more tries than a few, because those of one process take turns.
func TestNobodyIsTooLateEveryTime(t *testing.T) {
	const clients, each = 32, 50
	synctest.Test(t, func(t *testing.T) {
		a := newSite(memstore.New(), sessionkit.Config{})
		a.on("/start", increment)
		a.on("/count", showCount)
		var mu sync.Mutex
		most := 0
		a.on("/", func(c *gin.Context) {
			tries := 0
			_, err := count.Update(c, func(n int) int {
				tries++
				time.Sleep(time.Millisecond) // all others run meanwhile
				return n + 1
			})
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			most = max(most, tries)
		})
		b := newBrowser(t, a)
		b.get("/start")
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range each {
					b.fork().get("/")
				}
			})
		}
		all.Wait()
		assert.JSONEq(t, `{"n": 1601, "ok": true}`, b.get("/count").Body.String())
		assert.LessOrEqual(t, most, 10)
	})
}

// TestUpdateWithinAnUpdate does not wait for itself: neither in one request, nor by
// another request that the function makes.
func TestUpdateWithinAnUpdate(t *testing.T) {
	a := newSite(memstore.New(), sessionkit.Config{})
	var b *browser
	a.on("/start", increment)
	a.on("/plain", func(c *gin.Context) { _, _ = count.Update(c, func(n int) int { return n + 1 }) })
	a.on("/within", func(c *gin.Context) {
		first := true
		n, err := count.Update(c, func(n int) int {
			if first {
				b.fork().get("/plain") // which makes this one try again, in its turn
			} else {
				_, err := name.Update(c, func(string) string { return "within" })
				assert.NoError(t, err)
			}
			first = false
			return n + 1
		})
		assert.NoError(t, err)
		c.JSON(http.StatusOK, n)
	})
	b = newBrowser(t, a)
	b.get("/start")
	start := time.Now()
	assert.Equal(t, "3", b.get("/within").Body.String())
	assert.Less(t, time.Since(start), 500*time.Millisecond)
}

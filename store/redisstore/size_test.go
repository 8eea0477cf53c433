package redisstore_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
)

// TestManyValuesAreMeasuredAtOnce: while a change is measured the server does nothing else,
// so it must not call a command for each of many small values.
func TestManyValuesAreMeasuredAtOnce(t *testing.T) {
	server := testserver.Redis(t)
	client := connect(t, server.Address)
	b := backend(t, client)
	calls := func() map[string]int {
		stats, err := client.Do(t.Context(), client.B().Arbitrary("INFO", "commandstats").Build()).ToString()
		require.NoError(t, err)
		counts := make(map[string]int)
		for _, of := range regexp.MustCompile(`cmdstat_([^:]+):calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
			counts[of[1]], err = strconv.Atoi(of[2])
			require.NoError(t, err)
		}
		return counts
	}
	const n, each = 20_000, 15
	values := make(map[string]string, n)
	for i := range n {
		values[fmt.Sprintf("%05d", i)] = `"12345678"`
	}
	create(t, b, newID(1), record("", values))
	before := calls()
	c := store.Change{Set: map[string]string{"x": `1`}, MaxBytes: n*each + 2}
	found, err := changed(b.Update(t.Context(), newID(1), c))
	require.NoError(t, err)
	assert.True(t, found)
	c.Set = map[string]string{"y": `1`}
	_, err = b.Update(t.Context(), newID(1), c)
	require.ErrorIs(t, err, store.ErrTooLarge)
	after, made := calls(), 0
	for name, count := range after {
		made += count - before[name]
	}
	assert.Less(t, made, 40, "%v, before %v", after, before)
}

package testserver_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// TestRedisOfAnotherTest: where two tests come upon the same port, neither works on the
// other's server.
func TestRedisOfAnotherTest(t *testing.T) {
	first := testserver.Redis(t)
	_, ours := testserver.StartLike(t, first)
	require.False(t, ours, "the port is taken")
	_, err := first.Command("PING")
	require.NoError(t, err)

	first.Kill()
	second, ours := testserver.StartLike(t, first)
	require.True(t, ours)
	_, err = second.Command("PING")
	assert.NoError(t, err)
}

package redisstore_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

// TestPermissions: a user with the permissions that the package's documentation names can
// do everything.
func TestPermissions(t *testing.T) {
	source, err := os.ReadFile("redisstore.go")
	require.NoError(t, err)
	text := regexp.MustCompile(`(?s)The user needs the permissions for (.*?)\. A client`).FindSubmatch(source)
	require.NotNil(t, text)
	server := testserver.Redis(t)
	args := []string{"ACL", "SETUSER", "app", "on", "nopass", "~*", "&*", "-@all"}
	for _, command := range regexp.MustCompile(`[A-Z]{3,}( [A-Z]+)?`).FindAllString(string(text[1]), -1) {
		args = append(args, "+"+strings.ToLower(strings.Replace(command, " ", "|", 1)))
	}
	_, err = server.Command(args...)
	require.NoError(t, err)
	for name, cache := range map[string]int{"cache": 0, "no cache": -1} {
		t.Run(name, func(t *testing.T) {
			client := connectWith(t, rueidis.ClientOption{InitAddress: []string{server.Address}, Username: "app"})
			storetest.Run(t, fresh(client, redisstore.Config{CacheBytes: cache}))
		})
	}
	admin := connect(t, server.Address)
	denied, err := admin.Do(t.Context(), admin.B().Arbitrary("ACL", "LOG").Build()).ToArray()
	require.NoError(t, err)
	assert.Empty(t, denied)
}

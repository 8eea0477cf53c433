package howto

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// Node is the middleware of one of several processes, which share a Redis server.
func Node(redis string, secrets ...[]byte) (gin.HandlerFunc, *store.Store, error) {
	s, err := redisstore.Open(redis) // the same server for all, and the same Config
	if err != nil {
		return nil, nil, err
	}
	return sessionkit.Sessions(s, sessionkit.Config{Secrets: secrets}), s, nil
}

var _ = context.Background

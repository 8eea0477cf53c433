package redisstore_test

import (
	"log"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

func Example() { //nolint:testableexamples // it needs a server
	s, err := redisstore.Open("redis://localhost:6379")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()

	r := gin.New()
	r.Use(sessionkit.Sessions(s))
}

func ExampleNew() { //nolint:testableexamples // it needs a server
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{"node1:6379", "node2:6379", "node3:6379"}, // of a Cluster
		Username:    "app",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	s := redisstore.New(client, redisstore.Config{Prefix: "shop:", Store: store.Config{Timeout: time.Second}})
	defer func() { _ = s.Close() }() // before the client
}

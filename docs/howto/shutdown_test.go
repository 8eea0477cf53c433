package howto_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// lasting is a backend whose records outlive the store.
type lasting struct{ store.Backend }

func (lasting) Close() error { return nil }

func TestServeEndsInOrder(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	site := "http://" + l.Addr().String()

	backend := memstore.NewBackend()
	store := store.New(lasting{backend})
	r := gin.New()
	r.Use(sessionkit.Sessions(store))
	s := &howto.Server{Handler: r, Store: store, Stopping: make(chan struct{})}
	began := make(chan struct{})
	r.POST("/cart", func(c *gin.Context) {
		close(began)
		<-s.Stopping
		howto.Cart.Set(c, []string{"tea"})
	})
	r.GET("/events", func(c *gin.Context) {
		ended := sessionkit.Done(c)
		c.SSEvent("message", "hello")
		c.Writer.Flush()
		select {
		case <-ended:
		case <-s.Stopping:
			c.SSEvent("message", "goodbye")
		}
	})
	client := sessionkittest.As(t, r, "42", sessionkittest.At(site))
	browser := &http.Client{Jar: client.Jar}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()

	stream, err := browser.Get(site + "/events")
	require.NoError(t, err)
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	require.True(t, lines.Scan())
	posted := make(chan int, 1)
	go func() {
		res, err := browser.Post(site+"/cart", "", nil)
		if !assert.NoError(t, err) {
			posted <- 0
			return
		}
		_ = res.Body.Close()
		posted <- res.StatusCode
	}()
	<-began
	stop()
	assert.Equal(t, http.StatusOK, <-posted, "the request that was under way is answered")
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	assert.Equal(t, "data:goodbye", last, "the stream has ended by itself")
	assert.NoError(t, <-ended)
	defer func() { assert.NoError(t, backend.Close()) }()
	items, _ := sessionkittest.Value(client, howto.Cart)
	assert.Equal(t, []string{"tea"}, items, "and saved")
}

func TestServeSaysWhyItFailed(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	s := &howto.Server{Handler: gin.New(), Store: memstore.New(), Stopping: make(chan struct{})}
	assert.ErrorIs(t, s.Serve(t.Context(), l), net.ErrClosed)
}

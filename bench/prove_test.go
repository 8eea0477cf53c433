package main_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

// TestMain makes this program the command as well, which measures a crowd in a
// process of its own: its heap is what others left behind otherwise.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main.Main()
		return
	}
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}

func TestPeersDoTheirWork(t *testing.T) {
	peers := main.Peers()
	require.Len(t, peers, 9)
	for _, p := range peers {
		t.Run(p.Title(), func(t *testing.T) { require.NoError(t, p.Open(t).Prove()) })
	}
}

func find(t *testing.T, name string) main.Peer {
	t.Helper()
	for _, p := range main.Peers() {
		if p.Title() == name {
			return p
		}
	}
	t.Fatalf("there is no peer %q", name)
	return main.Peer{}
}

// answering lets a handler answer some paths itself.
func answering(texts map[string]string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, ok := texts[r.URL.Path]; ok {
				_, _ = w.Write([]byte(text))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// TestProveFindsOut breaks one thing of a peer at a time.
func TestProveFindsOut(t *testing.T) {
	const kit = "sessionkit memstore"
	for name, test := range map[string]struct {
		peer main.Peer
		says string
	}{
		"a write that stores nothing":  {find(t, kit).Wrapped(answering(map[string]string{"/small/write": "tea 2"})), `"tea 1", not "tea 2"`},
		"a write that changes nothing": {find(t, kit).Wrapped(answering(map[string]string{"/small/write": "tea 1"})), "changed nothing"},
		"a read of nothing":            {find(t, kit).Wrapped(answering(map[string]string{"/large/read": "none"})), `"none", not "tea`},
		"a sign-in of nobody":          {find(t, kit).Wrapped(answering(map[string]string{"/login": "42"})), `/user: the answer is "none"`},
		"a sign-out of nobody":         {find(t, kit).Wrapped(answering(map[string]string{"/logout": "bye"})), "after the sign-out"},
		"an anonymous answer":          {find(t, kit).Wrapped(answering(map[string]string{"/anonymous": "what?"})), "/anonymous"},
		"an ID that stays":             {find(t, "gin-contrib memstore").Claiming(true, true), "before the sign-in"},
		"a cookie that goes on":        {find(t, "gin-contrib cookie").Claiming(false, true), "after the sign-out"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.peer.Open(t).Prove()
			require.Error(t, err)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

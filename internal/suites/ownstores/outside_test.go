package ownstores_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// TestOutsideOfARequest: a job reads and changes a value of a session, on the node that
// the browser does not use, and the next request sees it.
func TestOutsideOfARequest(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		b := nodes[0].browser().signIn("42")
		id := b.id()

		_, ok, err := cart.GetFrom(t.Context(), p[1], id)
		require.NoError(t, err)
		assert.False(t, ok, "it is not there yet")
		b.post("/add?name=tea")
		items, ok, err := cart.GetFrom(t.Context(), p[1], id)
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, items, 1)
		assert.Equal(t, "tea", items[0].Name)

		items, err = cart.UpdateIn(t.Context(), p[1], id, func(items []item) []item { return append(items, item{Name: "cake"}) })
		require.NoError(t, err)
		assert.Len(t, items, 2)
		got := decoded[[]item](t, eventually(b, "/cart", 2))
		require.Len(t, got, 2)
		assert.Equal(t, "cake", got[1].Name)

		b.post("/renew")
		b.post("/confirm")
		_, err = cart.UpdateIn(t.Context(), p[1], id, func(items []item) []item { return append(items, item{Name: "milk"}) })
		require.NoError(t, err, "the session that had the ID has another one")
		assert.Len(t, decoded[[]item](t, eventually(b, "/cart", 3)), 3)
		_, ok, err = cart.GetFrom(t.Context(), p[0], id)
		require.NoError(t, err)
		assert.True(t, ok)
	})
}

// TestOutsideErrors: they are those of a request, and nothing has changed.
func TestOutsideErrors(t *testing.T) {
	each(t, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		same := func(items []item) []item { return append(items, item{Name: "late"}) }
		ended := func(id, why string) {
			t.Helper()
			_, _, err := cart.GetFrom(t.Context(), p[1], id)
			require.ErrorIs(t, err, store.ErrEnded, why)
			_, err = cart.UpdateIn(t.Context(), p[1], id, same)
			require.ErrorIs(t, err, store.ErrEnded, why)
		}
		ended("", "no ID")
		ended("no such session", "no such session")

		b := nodes[0].browser().signIn("42")
		id := b.id()
		b.post("/logout")
		ended(id, "signed out")

		visitor := nodes[0].browser()
		visitor.post("/add?name=tea")
		id = visitor.id()
		visitor.signIn("43")
		ended(id, "somebody may have signed in to it since")

		expired := ordinary(1)
		expired.Expires = time.Now().Add(-time.Minute)
		_, id = stored(t, p[0], expired)
		ended(id, "expired")

		b = nodes[0].browser().signIn("44")
		b.post("/add?name=tea")
		_, err := sessionkit.NewKey[any]("a").UpdateIn(t.Context(), p[1], b.id(), func(any) any { return func() {} })
		require.Error(t, err, "it does not encode")
		_, err = sessionkit.NewKey[[]byte]("b").UpdateIn(t.Context(), p[1], b.id(), func([]byte) []byte { return make([]byte, 2<<20) })
		require.ErrorIs(t, err, store.ErrTooLarge)
		assert.Len(t, decoded[[]item](t, eventually(b, "/cart", 1)), 1)
	})
}

// TestOutsideAgainstRequests: jobs and requests that change one value lose nothing of
// each other's, also where a request gives the session a new ID.
func TestOutsideAgainstRequests(t *testing.T) {
	const jobs, times = 8, 8
	each(t, func(t *testing.T, p pair) {
		nodes := counting(t, p, sessionkit.Config{})
		b := nodes[0].browser().signIn("42")
		id := b.id()
		var all sync.WaitGroup
		for n := range jobs {
			all.Go(func() {
				for range times {
					_, err := tickets.UpdateIn(t.Context(), p[n%2], id, another)
					assert.NoError(t, err)
				}
			})
		}
		for n := range times {
			b.post("/ticket")
			if n%3 == 0 {
				b.post("/renew")
			}
		}
		all.Wait()
		got, _, err := tickets.GetFrom(t.Context(), p[0], id)
		require.NoError(t, err)
		assert.Equal(t, int64((jobs+1)*times), got)
	})
}

package main_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/sessionkittest"
)

func TestCart(t *testing.T) {
	client := sessionkittest.As(t, newHandler(t, sessionkit.Config{}), "alice",
		sessionkittest.With(main.Cart, []main.Item{{Name: "Sencha", Count: 1}}))
	for _, name := range []string{"Sencha", "Assam", "Sencha"} {
		w := client.Post("/cart", url.Values{"item": {name}})
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	}
	items, _ := sessionkittest.Value(client, main.Cart)
	assert.Equal(t, []main.Item{{Name: "Sencha", Count: 3}, {Name: "Assam", Count: 1}}, items)

	client.Post("/cart/remove", url.Values{"item": {"Sencha"}})
	items, _ = sessionkittest.Value(client, main.Cart)
	assert.Equal(t, []main.Item{{Name: "Assam", Count: 1}}, items)
}

func TestCartIsFull(t *testing.T) {
	full := make([]main.Item, 20)
	for i := range full {
		full[i] = main.Item{Name: string(rune('a' + i)), Count: 1}
	}
	client := sessionkittest.Visitor(t, newHandler(t, sessionkit.Config{}), sessionkittest.With(main.Cart, full))
	assert.Equal(t, http.StatusUnprocessableEntity, client.Post("/cart", url.Values{"item": {"one more"}}).Code)
	items, _ := sessionkittest.Value(client, main.Cart)
	assert.Equal(t, full, items)
}

func TestCartThatCannotBeSaved(t *testing.T) {
	store := sessionkittest.NewStore()
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	client := sessionkittest.As(t, main.NewServer(store, sessionkit.Config{}).Handler, "alice")
	store.FailWrites(errors.New("disk full"))
	w := client.Post("/cart", url.Values{"item": {"Sencha"}})
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Empty(t, w.Header().Get("Location"))
	store.FailWrites(nil)
	items, _ := sessionkittest.Value(client, main.Cart)
	assert.Empty(t, items)
}

package main_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

func TestHits(t *testing.T) {
	assert.InDelta(t, 0.75, main.Hits(4, 1), 1e-9, "one node asks once in four requests")
	assert.InDelta(t, 1-2*(1-1.0/16)/4, main.Hits(4, 2), 1e-9, "two nodes meet such a sequence nearly always")
	assert.InDelta(t, 0, main.Hits(4, 1e6), 1e-5, "of many nodes each request meets another")
	assert.Zero(t, main.Hits(1, 1))
}

func TestCacheAgainstNews(t *testing.T) {
	const read, change = 2000, 8000
	direct, sticky, anywhere := main.NewConstants(read, change, 0).Server()
	assert.Less(t, sticky, direct, "news that cost nothing")
	assert.Less(t, sticky, anywhere)

	k := main.NewConstants(read, change, 500)
	evens := k.Evens() // reads that are saved for each change, over the news of one
	assert.InDelta(t, read*(1-1/3.75)*3.75/500, evens, 1e-6)
	assert.Zero(t, main.NewConstants(read, change, -1).Evens(), "news that cost too little to be measured")
}

func TestMasters(t *testing.T) {
	k := main.NewConstants(1, 1, 1) // 1000 bytes of Redis for a session
	assert.InDelta(t, 1, k.Masters(1, 0), 0)
	assert.InDelta(t, 6, k.Masters(1, 2.6), 0, "each is half busy")
	assert.InDelta(t, 6, k.Masters(1e8, 0.1), 0, "each has 16 GB")
}

func TestModelIsPutIntoTheDocument(t *testing.T) {
	text := "before\n" + main.ModelBegins + "\nold\n" + main.ModelEnds + "\nafter\n"
	fresh, err := main.ReplaceModel(text, "new")
	require.NoError(t, err)
	assert.Equal(t, "before\n"+main.ModelBegins+"\n\nnew\n"+main.ModelEnds+"\nafter\n", fresh)
	again, err := main.ReplaceModel(fresh, "new")
	require.NoError(t, err)
	assert.Equal(t, fresh, again)
	_, err = main.ReplaceModel("no place for it", "new")
	require.Error(t, err)

	document, err := os.ReadFile("../docs/scaling.md")
	require.NoError(t, err)
	_, err = main.ReplaceModel(string(document), "new")
	require.NoError(t, err)
}

package redisstore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// hashes are what may stand in a session's hash: a field and its value in turn.
var hashes = []struct {
	fields []string
	ok     bool
}{
	{[]string{"u", "", "c", "1", "s", "2", "e", "3"}, true},
	{[]string{"u", "alice", "c", "0", "s", "0", "e", "0", "i", "9", "v:a", "1", "v:", "", "v:u", "x", "other", "y"}, true},
	{[]string{"u", "alice", "c", "-1", "s", "2", "e", "9223372036854775807", "m", "1"}, true},
	{[]string{"c", "1", "s", "2", "e", "3", "v:a", "1"}, false},
	{[]string{"u", "alice", "c", "1", "s", "2"}, false},
	{[]string{"u", "alice", "c", "1", "s", "2", "e", "soon"}, false},
	{[]string{"u", "alice", "c", "1", "s", "", "e", "3"}, false},
	{[]string{"u", "alice", "c", "1", "s", "1.5", "e", "3"}, false},
	{[]string{"u", "alice", "c", "1", "s", "1", "e", "9223372036854775808"}, false},
	{[]string{"v:a", "1"}, false},
}

func hashOf(fields []string) map[string]string {
	hash := make(map[string]string)
	for pair := range slices.Chunk(fields, 2) {
		if len(pair) == 2 {
			hash[pair[0]] = pair[1]
		}
	}
	return hash
}

func TestDecodeHash(t *testing.T) {
	for _, test := range hashes {
		r, err := redisstore.DecodeHash(hashOf(test.fields))
		if test.ok {
			require.NoError(t, err, test.fields)
			continue
		}
		require.ErrorIs(t, err, store.ErrCorrupt, test.fields)
		assert.Zero(t, r)
	}
	require.NotEmpty(t, hashes, "they are the seeds of FuzzRecord as well")
}

// FuzzRecord reads any hash: an error leaves nothing, and what reads as a record is
// read the same once it was written.
func FuzzRecord(f *testing.F) {
	for _, test := range hashes {
		f.Add(strings.Join(test.fields, "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		hash := hashOf(strings.Split(text, "\n"))
		var r store.Record
		var err error
		alloctest.Check(t, len(text), func() { r, err = redisstore.DecodeHash(hash) })
		if err != nil {
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Zero(t, r)
			return
		}
		for name, v := range r.Values {
			require.Equal(t, hash["v:"+name], v)
		}
		again, err := redisstore.DecodeHash(hashOf(redisstore.Fields(r)))
		require.NoError(t, err)
		for _, pair := range [][2]time.Time{{r.Created, again.Created}, {r.Seen, again.Seen}, {r.Expires, again.Expires}} {
			require.True(t, pair[0].Equal(pair[1]), pair)
		}
		require.Equal(t, r.User, again.User)
		require.Equal(t, [3]string{r.Name, r.Kind, string(r.Ended)}, [3]string{again.Name, again.Kind, string(again.Ended)})
		require.Equal(t, r.Values, again.Values)
	})
}

package sqlstore_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func TestShield(t *testing.T) {
	for text, stored := range map[string]string{
		`42`:             `42`,
		`"1e400"`:        `"1e400"`,
		`["json",19.99]`: `["json",19.99]`,
		`["json",1e21]`:  `["raw","[\"json\",1e21]"]`,
		`["raw","x"]`:    `["raw","[\"raw\",\"x\"]"]`,
	} {
		assert.Equal(t, stored, sqlstore.Shield(text))
	}
}

func documentSeeds() []string {
	seeds := []string{
		``, `{`, `{}`, ` { } `, `{"a":1}`, `{"a": 1, "b": [1, {"c": "]"}]}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a"}`, `{"a":}`, `{"a":1}}`, `{"a":1} x`,
		`{"\"":"\\"}`, `{"\u00e4":"\""}`, `{"a":"`, `{"a":[}`, `{"a":["raw","1"]}`, `{"a":["raw",1]}`, `{"a":["raw"]}`, `[1]`, `null`, "{\"a\"\n:\t1 }",
	}
	for _, text := range kittest.OddValues {
		seeds = append(seeds, sqlstore.Compose(map[string]string{"a": text, `"odd" name`: `1`}, nil))
	}
	return seeds
}

func TestDocumentSeeds(t *testing.T) {
	assert.NotEmpty(t, documentSeeds())
	assert.NotEmpty(t, kittest.OddValues)
}

// FuzzShield checks that a value comes back as it was from what is stored of it,
// and that what was not stored by the package is left alone.
func FuzzShield(f *testing.F) {
	for _, seed := range kittest.OddValues {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var inner string
		alloctest.Check(t, len(text), func() { inner = sqlstore.Unshield(text) })
		if inner != text {
			require.True(t, json.Valid([]byte(inner)))
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) || strings.TrimSpace(text) != text {
			return // no text of a value
		}
		stored := sqlstore.Shield(text)
		require.True(t, json.Valid([]byte(stored)))
		require.Equal(t, text, sqlstore.Unshield(stored))
	})
}

func FuzzDocument(f *testing.F) {
	for _, seed := range documentSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := sqlstore.Document{"of another row": `1`}
		var err error
		alloctest.Check(t, len(text), func() { err = d.Scan(text) })
		if err != nil {
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Nil(t, d)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &want) != nil || want == nil || !json.Valid([]byte(text)) {
			return
		}
		require.NoError(t, err)
		require.Len(t, d, len(want))
		if !utf8.ValidString(text) || strings.Contains(text, `\u0000`) {
			return // no name or value of a session
		}
		var again sqlstore.Document
		require.NoError(t, again.Scan(sqlstore.Compose(d, nil)))
		require.Equal(t, d, again, "what is read and written is read the same")
	})
}

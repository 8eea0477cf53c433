package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/store"
)

// signIns are texts under the name where a record keeps its sign-in.
var signIns = []struct {
	text string
	ok   bool
}{
	{`["json",{"at":"2026-01-02T03:04:05Z","line":"x"}]`, true},
	{`["json",{"at":"2026-01-02T03:04:05Z","remembered":true,"user_agent":"a","ip":"b","line":"x","more":1}]`, true},
	{`["json",{}]`, false},
	{`["json",{"at":"2026-01-02T03:04:05Z","remembered":1,"line":"x"}]`, false},
	{`["json",{"line":"x","at":7}]`, false},
	{`["json",0]`, false},
	{`["json",null]`, false},
	{`"text"`, false},
	{`["gob","AA=="]`, false},
	{``, false},
}

func withSignIn(text string) store.Record {
	return store.Record{User: "alice", Values: map[string]string{"_kit:sign_in": text}}
}

func TestSignInThatCannotBeRead(t *testing.T) {
	for _, test := range signIns {
		assert.Equal(t, test.ok, withSignIn(test.text).SignIn() != store.SignIn{}, test.text)
	}
	nobody := withSignIn(signIns[0].text)
	nobody.User = ""
	assert.Zero(t, nobody.SignIn(), "nobody is signed in")
	require.NotEmpty(t, signIns, "they are the seeds of FuzzSignIn as well")
}

// FuzzSignIn reads any text as the sign-in of a record: it is nothing, or one that
// is read the same once it was written.
func FuzzSignIn(f *testing.F) {
	for _, test := range signIns {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var in store.SignIn
		alloctest.Check(t, len(text), func() { in = withSignIn(text).SignIn() })
		if in.At.Year() < 0 || in.At.Year() > 9999 {
			t.Fatalf("a time that has no text: %v", in.At)
		}
		again := withSignIn("").WithSignIn(in).SignIn()
		require.True(t, in.At.Equal(again.At))
		in.At, again.At = time.Time{}, time.Time{}
		require.Equal(t, in, again)
	})
}

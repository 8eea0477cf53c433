package signin_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/alloctest"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// signIns are texts under the name where a record keeps its sign-in.
var signIns = []struct {
	text string
	ok   bool
}{
	{`["json",{"at":"2026-01-02T03:04:05Z","line":"x"}]`, true},
	{`["json",{"at":"2026-01-02T03:04:05Z","remembered":true,"user_agent":"a","ip":"b","line":"x","more":1}]`, true},
	{`["json",{"at":"2026-01-02T03:04:05.5+02:00","confirmed":"2026-01-02T03:04:06Z","ends":"2026-01-03T03:04:05Z","remembered":true,"values":true,` +
		`"user_agent":"a","ip":"192.0.2.1","idle":60000000000,"lifetime":-1,"line":"x","epoch":"e","turn":12}]`, true},
	{`["json",{"at":"2026-01-02T03:04:05Z","user_agent":"\"<日本>","line":"x"}]`, true},
	{`["json", {"at": "2026-01-02T03:04:05Z", "line": "x"}]`, true},
	{`["json",{"line":"x","idle":007}]`, false},
	{`["json",{"line":"x"},1]`, false},
	{`["json",{}]`, false},
	{`["json",{"at":"2026-01-02T03:04:05Z","remembered":1,"line":"x"}]`, false},
	{`["json",{"line":"x","at":7}]`, false},
	{`["json",0]`, false},
	{`["json",null]`, false},
	{`"text"`, false},
	{`["gob","AA=="]`, false},
	{``, false},
}

func values(text string) map[string]string { return map[string]string{signin.Name: text} }

func TestSignInThatCannotBeRead(t *testing.T) {
	for _, test := range signIns {
		assert.Equal(t, test.ok, signin.Of(values(test.text)) != signin.SignIn{}, test.text)
	}
	assert.Zero(t, signin.Of(nil))
	require.NotEmpty(t, signIns, "they are the seeds of FuzzSignIn as well")
}

// TestEveryField: the text has every field, in the form that encoding/json gives it, so
// that a field that is added is not forgotten where texts are written and read by hand.
func TestEveryField(t *testing.T) {
	var all signin.SignIn
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i).Addr().Interface().(type) {
		case *time.Time:
			*f = time.Date(2026, 1, 2, 3, 4, 5, i, time.UTC)
		case *bool:
			*f = true
		case *string:
			*f = v.Type().Field(i).Name
		case *time.Duration:
			*f = time.Duration(i)
		case *int64:
			*f = int64(i)
		default:
			t.Fatalf("what is a %T?", f)
		}
		one := signin.SignIn{}
		reflect.ValueOf(&one).Elem().Field(i).Set(v.Field(i))
		assert.Equal(t, one, signin.Of(values(one.Text())), v.Type().Field(i).Name)
	}
	j, err := json.Marshal(all)
	require.NoError(t, err)
	assert.Equal(t, `["json",`+string(j)+`]`, all.Text())
	assert.Equal(t, all, signin.Of(values(all.Text())))
}

func TestOrder(t *testing.T) {
	at := time.UnixMilli(1000)
	assert.Equal(t, int64(1000), signin.SignIn{At: at}.Order())
	assert.Equal(t, int64(1001), signin.SignIn{At: at, Turn: 1001}.Order(), "after one that a clock ahead of this one has made")
}

// FuzzSignIn reads any text as a sign-in: it is nothing, or one that is read the
// same once it was written.
func FuzzSignIn(f *testing.F) {
	for _, test := range signIns {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var in signin.SignIn
		alloctest.Check(t, len(text), func() { in = signin.Of(values(text)) })
		if in.At.Year() < 0 || in.At.Year() > 9999 {
			t.Fatalf("a time that has no text: %v", in.At)
		}
		if v, err := value.Decode(text); err == nil {
			var plainly signin.SignIn
			if j, ok := v.(value.JSON); !ok || json.Unmarshal([]byte(j), &plainly) != nil {
				plainly = signin.SignIn{}
			}
			require.Equal(t, plainly, in, "as encoding/json reads it")
		}
		j, err := json.Marshal(in)
		require.NoError(t, err)
		written, err := value.Encode(value.JSON(j))
		require.NoError(t, err)
		require.Equal(t, written, in.Text(), "as encoding/json writes it")
		again := signin.Of(values(in.Text()))
		require.True(t, in.At.Equal(again.At))
		in.At, again.At = time.Time{}, time.Time{}
		require.Equal(t, in, again)
	})
}

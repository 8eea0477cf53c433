package express_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func jsonUnmarshal(text string, v any) error { return json.Unmarshal([]byte(text), v) }

// unsign returns the value of a cookie that res.cookie(name, value, {signed: true})
// set, or express-session. It is false for any other.
func unsign(cookie string, secrets ...string) (string, bool) {
	signed, ok := strings.CutPrefix(cookie, "s:")
	dot := strings.LastIndexByte(signed, '.')
	if !ok || dot < 0 {
		return "", false
	}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(signed[:dot]))
		want := base64.RawStdEncoding.EncodeToString(mac.Sum(nil))
		if hmac.Equal([]byte(want), []byte(signed[dot+1:])) {
			return signed[:dot], true
		}
	}
	return "", false
}

func Example_unsign() {
	cookie := "s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI" // GetCookie has decoded it
	fmt.Println(unsign(cookie, "tobiiscool"))
	fmt.Println(unsign(cookie, "another secret"))
	// Output:
	// hello true
	//  false
}

// signatures are what cookie-signature writes, by value and secret.
var signatures = map[[2]string]string{
	{"hello", "tobiiscool"}:              "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI",
	{"", "k"}:                            "s%3A.i7mQxAp9YcuXWXqUISUCW%2BUKyL63RDbjc1uYiTp%2FZiA",
	{"tobi", "keyboard cat"}:             "s%3Atobi.k%2FMBGA3LV%2FDe%2B0YTROxcLuurjbOQXyaa2veNodQBZc4",
	{"a.b.c", "k"}:                       "s%3Aa.b.c.KknhlmRnAWEJEoNMlO85fIMohjxbBPVoeAIqIsEoMg4",
	{`j:{"a":1}`, "secret"}:              "s%3Aj%3A%7B%22a%22%3A1%7D.AKai2Q89Xc5oSgUKTX0uDbXS8uiF5sCkAjx%2FoK13KJY",
	{"héllo wörld", "sécret"}:            "s%3Ah%C3%A9llo%20w%C3%B6rld.2svz2eIu3584x49wahD5WIPdsPjirz6UB1VQAFVczLA",
	{"abc", "keyboard cat"}:              "s%3Aabc.BpxCrWRpvZMh%2Fwk%2Fdjl34N%2Bm%2BVQEU7K%2F5WenLwJCgFU",
	{"%", "keyboard cat"}:                "s%3A%25.kzQ6x52kKVdF35Qh62AWk4ZekS28K5XYCXKa%2FOTZ01g",
	{`j:{"name":"tobi"}`, "foo bar baz"}: "s%3Aj%3A%7B%22name%22%3A%22tobi%22%7D.K20xcwmDS%2BPb1rsD95o5Jm5SqWs1KteqdnynnB7jkTE",
}

func TestUnsign(t *testing.T) {
	for of, wire := range signatures {
		cookie, err := url.PathUnescape(wire)
		assert.NoError(t, err)
		v, ok := unsign(cookie, "another secret", of[1])
		assert.True(t, ok, wire)
		assert.Equal(t, of[0], v)
		_, ok = unsign(cookie+"x", of[1])
		assert.False(t, ok)
		_, ok = unsign(strings.TrimPrefix(cookie, "s:"), of[1])
		assert.False(t, ok)
	}
}

// verifySignatures compares the vectors with what cookie-signature writes now.
func verifySignatures(t *testing.T, node side) {
	t.Helper()
	for of, wire := range signatures {
		want, err := url.PathUnescape(wire)
		assert.NoError(t, err)
		query := url.Values{"v": {of[0]}, "secret": {of[1]}}
		assert.Equal(t, want, unJSON(t, newBrowser(t, node.site).get("/sign?"+query.Encode()).body))
	}
}

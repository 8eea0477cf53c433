package expresslive_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// A role is of a type that JSON has no form for, which the application has given to gob.
type role struct{ name string }

func (r role) GobEncode() ([]byte, error) { return []byte(r.name), nil }

func (r *role) GobDecode(b []byte) error {
	decoded.Add(1)
	r.name = string(b)
	return nil
}

var decoded atomic.Int64 // how many roles were

// inGob returns the text of a role.
func inGob(t *testing.T, r role) string {
	t.Helper()
	gob.Register(role{})
	var b bytes.Buffer
	v := any(r)
	require.NoError(t, gob.NewEncoder(&b).Encode(&v))
	return encoded(t, []string{"gob", base64.StdEncoding.EncodeToString(b.Bytes())})
}

// forgedTexts are objects as a client may make them.
func forgedTexts(t *testing.T) []string {
	t.Helper()
	admin := inGob(t, role{"admin"})
	forge := func(text string) string { return encoded(t, map[string]string{"_kit:text": text}) }
	return []string{
		forge(admin), forge(admin + "."), forge(strings.TrimPrefix(secrets.Sign(admin), "s:")), forge(secrets.Sign(admin)),
		forge(strings.Replace(admin, "gob", `\u0067ob`, 1)), forge(`["time","2026-01-01T00:00:00Z"]`), forge(`["bytes","AQI="]`), forge(`7`),
		`{"_kit:text":null}`, `{"_kit:text":7}`, `{"_kit:text":{"a":"b"}}`, `{"_kit:text":""}`, `{"_kit:text":".","a":""}`,
	}
}

// look reads a session in all ways.
func look(t *testing.T, c *gin.Context) {
	t.Helper()
	before := decoded.Load()
	sessionkit.User(c)
	sessionkit.Flashes(c)
	sessions.Default(c).Flashes()
	sessionkit.NewKey[any]("form").Get(c)
	assert.Equal(t, before, decoded.Load(), "nothing decodes what a client has made")
}

// TestForgedTexts: a value that Node or a client has made is JSON, whatever it looks like.
func TestForgedTexts(t *testing.T) {
	form := sessionkit.NewKey[map[string]any]("form")
	eachMedium(t, func(t *testing.T, m *medium) {
		for _, text := range forgedTexts(t) {
			var posted map[string]any
			require.NoError(t, json.Unmarshal([]byte(text), &posted))
			for by, keep := range map[string]func(){
				"Node": func() { m.write(t, "x", `{"cookie":{},"form":`+text+`}`) },
				"this side": func() {
					m.write(t, "x", `{"cookie":{}}`)
					inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) { form.Set(c, posted) })
				},
			} {
				keep()
				inside(t, newStore(m), seal(secrets, "x"), func(c *gin.Context) {
					look(t, c)
					got, ok := form.Get(c)
					assert.True(t, ok, "%s: %s", by, text)
					assert.Equal(t, posted, got, "%s: %s", by, text)
					j, _ := sessions.Default(c).Get("form").(value.JSON)
					assert.JSONEq(t, text, string(j), by)
				})
				assert.JSONEq(t, `{"cookie":{},"form":`+text+`}`, m.read(t, "x"))
			}
		}
	})
}

// TestForgedNames: nor is a name decoded, or a value of a name that is sessionkit's own, if
// Node has a client choose the name.
func TestForgedNames(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for _, text := range []string{inGob(t, role{"admin"}), strings.Replace(inGob(t, role{"admin"}), "gob", `\u0067ob`, 1)} {
			b := s.browser(t)
			b.get("/node/set", "name", "_key:"+text, "value", "1")
			for _, name := range []string{"_kit:sign_in", "_kit:flash:x", "_kit:latest_flash:x", "_kit:max_age", "_kit:cookie_due", "_kit:bound", "_kit:x", "_kit:text", "_kit:session"} {
				b.get("/node/set", "name", name, "value", text)
			}
			b.get("/node/login", "user", "ada") // the values go along
			for range 2 {
				res := inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
					look(t, c)
					user, _ := sessionkit.User(c)
					assert.Equal(t, "ada", user)
					sessionkit.Flash(c, sessionkit.Info, "hello")
				})
				assert.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
			}
			inside(t, newStore(m), b.cookie(), func(c *gin.Context) { assert.Len(t, sessionkit.Flashes(c), 1) })
		}
	})
}

// TestSealedValues: values that JSON has no form for come back with their Go types, also when
// Node has copied them to another session and when the secrets are rotated. Under another name they
// are what Node sees.
func TestSealedValues(t *testing.T) {
	gob.Register(role{})
	old := express.Config{Secrets: express.Secrets{secrets[1]}, User: express.User{Name: "userId"}}
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/set", "name", "a", "value", "1")
		b.put(seal(old.Secrets, b.sid()))
		res := inside(t, m.store(old), b.cookie(), func(c *gin.Context) {
			sessions.Default(c).Set("role", role{"editor"})
			sessions.Default(c).Set("bytes", []byte{1, 2})
		})
		require.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
		b.get("/node/login", "user", "ada")
		b.get("/node/set", "name", "form", "value", b.get("/node/get", "name", "role"))
		inside(t, newStore(m), b.cookie(), func(c *gin.Context) {
			assert.Equal(t, role{"editor"}, sessions.Default(c).Get("role"))
			assert.Equal(t, []byte{1, 2}, sessions.Default(c).Get("bytes"))
			assert.IsType(t, value.JSON(""), sessions.Default(c).Get("form"))
			_, err := sessionkit.NewKey[[]byte]("bytes").Update(c, func(b []byte) []byte { return append(b, 3) })
			assert.NoError(t, err)
		})
		inside(t, newStore(m), b.cookie(), func(c *gin.Context) { is(t, c, "bytes", []byte{1, 2, 3}) })
		assert.JSONEq(t, `"AQID"`, b.get("/node/get", "name", "bytes"))

		inside(t, m.store(express.Config{Secrets: express.Secrets{secrets[0]}}), b.cookie(), func(c *gin.Context) {
			look(t, c)
			assert.IsType(t, value.JSON(""), sessions.Default(c).Get("role"), "nothing tells any more who has written it")
		})
	})
}

package expresslive_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// noSessions are records that are none.
func noSessions() []string {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	return []string{
		`null`, `7`, `"x"`, `[]`, `[{"cookie":{}}]`, `{}`, `{"userId":"ada"}`, `{"cookie":null,"userId":"ada"}`, `{"cookie":[],"userId":"ada"}`,
		`{"cookie":7,"userId":"ada"}`, `{"cookie":"{}","userId":"ada"}`, `{"Cookie":{},"userId":"ada"}`,
		`{"cookie":{},"userId":"ada","a":` + strings.Repeat(`{"a":`, 1001) + `1` + strings.Repeat(`}`, 1001) + `}`,
		// What follows is no JSON; PostgreSQL keeps none of it.
		``, `{`, `{"cookie":{}`, `{"cookie":{},"userId":"ada"`, `{"cookie":{},}`, `{"cookie":{}}}`, `{"cookie":{}} x`, "\x00", "\xff\xfe",
		`{'cookie':{}}`, `{"cookie":{},"a":nonsense}`, `{"cookie":{},"a":"`, `{"cookie":{},"a":"\`, deep, strings.Repeat("[", 5_000_000), strings.Repeat(`{"cookie":`, 100_000),
		`{"cookie":{},"userId":"ada","a":` + deep + `}`,
	}
}

// TestHostileRecords: what is no session opens none, and stays as it is.
func TestHostileRecords(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for i, text := range noSessions() {
			sid := "hostile" + string(rune('A'+i))
			if m.name == "postgres" && (!json.Valid([]byte(text)) || len(text) > 100_000) || text == "" {
				continue
			}
			m.write(t, sid, text)
			b := s.browser(t)
			b.put(seal(secrets, sid))
			assert.Equal(t, "null", b.get("/gin/me"), "%.80s", text)
			b.get("/gin/add", "item", "tea")
			assert.NotEqual(t, seal(secrets, sid), b.cookie(), "it gives a fresh session")
			assert.JSONEq(t, `[{"name":"tea","n":1}]`, b.get("/node/get", "name", "cart"))
			other := s.browser(t)
			other.put(seal(secrets, sid))
			other.get("/gin/login", "user", "ada")
			other.get("/gin/logout")
			assert.JSONEq(t, quoteIfNot(text), quoteIfNot(m.read(t, sid)), "it stays as it is")
		}
	})
}

func quoteIfNot(text string) string {
	if json.Valid([]byte(text)) {
		return text
	}
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// TestHostileChange: a record that is damaged while a request is under way is not
// changed by it.
func TestHostileChange(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		for _, text := range noSessions() {
			if m.name == "postgres" && (!json.Valid([]byte(text)) || len(text) > 5_000) || text == "" {
				continue // how deep it is nested PostgreSQL does not look at
			}
			m.write(t, "x", text)
			found, err := of(s).Edit(t.Context(), "x", map[string]string{"a": "1"}, []string{"userId"})
			require.ErrorIs(t, err, store.ErrCorrupt, "%.80q", text)
			assert.False(t, found)
			assert.JSONEq(t, quoteIfNot(text), quoteIfNot(m.read(t, "x")))
		}
	})
}

func newStore(m *medium) *express.Store {
	return m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}})
}

// TestForgedCookies compares what both sides take for a session.
func TestForgedCookies(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		const text = `{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"userId":"ada"}`
		sids := []string{"plain", "with.dots.", "sp ace/ключ%", "s:x"}
		for _, sid := range sids {
			m.write(t, sid, text)
		}
		old, foreign := express.Secrets{secrets[1]}, express.Secrets{[]byte("another secret")}
		for _, sid := range sids {
			signed := secrets.Sign(sid)
			for cookie, opens := range map[string]bool{
				seal(secrets, sid):     true,
				seal(old, sid):         true,
				seal(foreign, sid):     false,
				seal(secrets, sid+"x"): false,
				seal(secrets, sid)[:len(seal(secrets, sid))-2]:   false,
				seal(secrets, sid) + "A":                         false,
				url.PathEscape(sid):                              false,
				url.PathEscape("s:" + sid):                       false,
				url.PathEscape("s:" + sid + "."):                 false,
				url.PathEscape(strings.TrimPrefix(signed, "s:")): false,
				seal(secrets, ""):                                false,
				"s%3A":                                           false,
				"s%3A.":                                          false,
				"%":                                              false,
				"s%3A%":                                          false,
			} {
				want := "null"
				if opens {
					want = `"ada"`
				}
				for _, side := range []string{"/node", "/gin"} {
					b := s.browser(t)
					b.put(cookie)
					assert.Equal(t, want, b.get(side+"/me"), "%s: %s", side, cookie)
				}
			}
		}
		for _, side := range []string{"/node", "/gin"} {
			b := s.browser(t)
			b.put(secrets.Sign("plain")) // not percent-encoded
			assert.Equal(t, `"ada"`, b.get(side+"/me"))

			b.put(seal(secrets, "chosen"))
			b.get(side+"/add", "item", "tea")
			assert.NotEqual(t, seal(secrets, "chosen"), b.cookie(), "an ID that has no session is not adopted")
		}
		b := s.browser(t)
		b.put("j%3A%7B%7D") // at which Node fails
		assert.Equal(t, "null", b.get("/gin/me"))
		b.put(seal(secrets, "nul\x00"))
		assert.Equal(t, "null", b.get("/gin/me"))
		b.put("s%3A" + strings.Repeat("x", 3000) + "." + strings.Repeat("A", 2000))
		assert.Equal(t, "null", b.get("/gin/me"))
	})
}

// FuzzCookie: only what was signed opens, and nothing panics.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{"", "s:", "s:.", "s%3A.", "%", "j:{}", seal(secrets, "plain"), secrets.Sign("a.b.c"), seal(secrets, "\x00"), seal(secrets, "\xff")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		sid, ok := open(secrets, cookie)
		if !ok {
			return
		}
		require.NotEmpty(t, sid)
		require.True(t, utf8.ValidString(sid))
		again, ok := open(secrets, seal(secrets, sid))
		require.True(t, ok)
		require.Equal(t, sid, again)
		_, ok = open(express.Secrets{[]byte("another secret")}, cookie)
		require.False(t, ok)
	})
}

func documentSeeds() []string {
	return append(
		noSessions()[:20],
		`{"cookie":{"originalMaxAge":600000,"expires":"2026-11-23T15:41:07.012Z","httpOnly":true,"path":"/"},"user":{"id":7},"n":1}`,
		`{"cookie":{"originalMaxAge":false,"expires":false},"a":[],"b":{},"c":null,"d":-0,"e":1e21,"f":0.1,"g":true}`,
		`{"cookie":{"originalMaxAge":1e300},"n":12345678901234567890,"id":1,"__proto__":{"x":1}}`,
		` { "cookie" : { } , "a" : [ 1 , 2 ] , "a" : "twice" , "\u0062" : "\u0000" , "\ud800" : "\udc00" } `,
		`{"cookie":{},"_kit:sign_in":["json",{"at":"2026-01-01T00:00:00Z","line":"x"}],"_kit:session":{"user":"ada"},"userId":"ada"}`,
		`{"cookie":{},"_kit:sign_in":7,"_kit:session":"x","_kit:max_age":"x","_kit:life":1,"userId":{}}`,
		`{"cookie":{},"_key:7":"seven","_key:x":1,"\u0000":1,"":"empty","a":{"_kit:text":"[\"bytes\",\"AQI=\"]"},"b":{"_kit:text":"x"}}`,
		`{"cookie":{},"a":{"_kit:text": "[\"bytes\",\"AQI=\"]"},"plain":{"_kit:text": "[\"bytes\",\"AQ==\"].Dv8978pym7PC+FHN5mX41rzu5OwwhaknyyRx0R2lk+o"}}`,
		`{"cookie":{},"_key:[\"gob\",\"AA==\"]":1,"_kit:x":["gob","AA=="],"_kit:y":["\u0067ob","AA=="],"_kit:z":{"_kit:text":"x"}}`,
		`{"cookie":{"a":"}{\"]["},"a":"}","b":"\\","c":"\\\"","d":{"e":"{"}}`,
	)
}

func TestSeeds(t *testing.T) { assert.NotEmpty(t, documentSeeds()) }

// FuzzDocument: a record of any bytes is a session or none, and what is read of it is
// what would be written. A member that is taken out leaves the others as they are.
func FuzzDocument(f *testing.F) {
	for _, seed := range documentSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		texts, members, err := of(nil).Parse(secrets, text)
		if err != nil {
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Nil(t, texts)
			return
		}
		for _, taken := range []string{"a", "userId", "_kit:session"} {
			_, left, err := of(nil).Parse(secrets, []byte(of(nil).Without(string(text), taken)))
			require.NoError(t, err)
			want := maps.Clone(members)
			delete(want, taken)
			require.Equal(t, want, left)
		}
		for name, text := range texts {
			if strings.HasPrefix(name, value.OwnPrefix) {
				continue
			}
			require.NotContains(t, of(nil).Lost(), name)
			raw, err := of(nil).MemberOf(secrets, name, text)
			require.NoError(t, err)
			if raw != members[name] { // but for spaces that PostgreSQL has put in
				require.JSONEq(t, members[name], raw, "%q", text)
				require.Contains(t, raw, value.OwnPrefix)
			}
		}
	})
}

// FuzzEdit compares what becomes of a record in Redis with what encoding/json makes of it.
func FuzzEdit(f *testing.F) {
	m := newRedis(f)
	s := newStore(m)
	for _, seed := range documentSeeds() {
		f.Add([]byte(seed), "a", "b")
	}
	f.Fuzz(func(t *testing.T, text []byte, put, drop string) {
		if len(text) == 0 || !utf8.Valid(text) || !utf8.ValidString(put) || !utf8.ValidString(drop) || strings.Contains(string(text), `\u`) {
			return // encoding/json changes these
		}
		m.write(t, "x", string(text))
		found, err := of(s).Edit(t.Context(), "x", map[string]string{put: `{"new":[]}`}, []string{drop})
		after := m.read(t, "x")
		var before, got map[string]json.RawMessage
		_, _, invalid := of(nil).Parse(secrets, text)
		if err != nil {
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.Equal(t, string(text), after)
			require.Error(t, invalid)
			return
		}
		require.True(t, found)
		require.NoError(t, invalid)
		require.NoError(t, json.Unmarshal(text, &before))
		require.NoError(t, json.Unmarshal([]byte(after), &got), "%s", after)
		delete(before, drop)
		before[put] = json.RawMessage(`{"new":[]}`)
		require.Equal(t, asStrings(before), asStrings(got))
	})
}

func asStrings(members map[string]json.RawMessage) map[string]string {
	texts := make(map[string]string)
	for name, raw := range members {
		texts[name] = string(raw)
	}
	return texts
}

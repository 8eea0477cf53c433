package storemigrate_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	ginmemstore "github.com/gin-contrib/sessions/memstore"
	"github.com/gin-gonic/gin"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// What Migrate does with the middleware is tested beside it. Here is the store alone, as
// sessions.Sessions of gin-contrib uses it.

func TestMigrateTakesAStoreOfItsOwn(t *testing.T) {
	old := ginmemstore.NewStore([]byte("secret"))
	assert.PanicsWithValue(t, "store: Migrate to a *memstore.store: it must be a store of sessionkit, such as redisstore.New(client)",
		func() { store.Migrate(memstore.New(), old, "old") })
	assert.Panics(t, func() { store.Migrate(old, store.Migrate(old, memstore.New(), "old"), "older") }, "one at a time")
	assert.NotPanics(t, func() { store.Migrate(old, struct{ *store.Store }{memstore.New()}, "old") })
}

// migrated returns a store that moves from old, and a cookie of it.
func migrated(t *testing.T, old sessions.Store) (*http.Cookie, sessions.Store) {
	t.Helper()
	cookie := saveOld(t, old, func(session *gsessions.Session) {
		session.Values["a"], session.Values[7] = 1, "x"
	})
	return cookie, store.Migrate(old, memstore.New(), "old")
}

func saveOld(t *testing.T, old sessions.Store, change func(*gsessions.Session)) *http.Cookie {
	t.Helper()
	r, w := request(), httptest.NewRecorder()
	session, err := old.New(r, "old")
	require.NoError(t, err)
	change(session)
	require.NoError(t, old.Save(r, w, session))
	return cookiesOf(t, w)[0]
}

func cookiesOf(t *testing.T, w *httptest.ResponseRecorder) []*http.Cookie {
	t.Helper()
	res := w.Result()
	require.NoError(t, res.Body.Close())
	return res.Cookies()
}

// change changes the session of a request in the new store and returns the answer's
// cookies.
func change(t *testing.T, s sessions.Store, f func(*gsessions.Session), cookies ...*http.Cookie) ([]*http.Cookie, error) {
	t.Helper()
	r, w := request(cookies...), httptest.NewRecorder()
	session, err := s.Get(r, "new")
	require.NoError(t, err)
	f(session)
	err = session.Save(r, w)
	return cookiesOf(t, w), err
}

func plainValues(t *testing.T, s sessions.Store, cookies ...*http.Cookie) map[any]any {
	t.Helper()
	session, err := s.Get(request(cookies...), "new")
	require.NoError(t, err)
	assert.Equal(t, len(session.Values) == 0, session.IsNew)
	return session.Values
}

// oldStore is a store of gorilla/sessions.
type oldStore struct{ *gsessions.CookieStore }

func (oldStore) Options(sessions.Options) {}

func TestPlainMigrate(t *testing.T) {
	for name, old := range map[string]sessions.Store{
		"cookie": gincookie.NewStore([]byte("secret")), "memstore": ginmemstore.NewStore([]byte("secret")),
		"gorilla": oldStore{gsessions.NewCookieStore([]byte("secret"))},
	} {
		t.Run(name, func(t *testing.T) {
			cookie, s := migrated(t, old)
			assert.Equal(t, map[any]any{"a": 1, 7: "x"}, plainValues(t, s, cookie))
			assert.Empty(t, plainValues(t, s))

			cookies, err := change(t, s, func(session *gsessions.Session) { session.Values["b"] = 2 }, cookie)
			require.NoError(t, err)
			require.Len(t, cookies, 2)
			assert.Equal(t, "new", cookies[0].Name)
			assert.Equal(t, "old", cookies[1].Name)
			assert.Negative(t, cookies[1].MaxAge, "the old cookie is retired")
			moved := cookies[0]
			want := map[any]any{"a": 1, "b": 2, 7: "x"}
			assert.Equal(t, want, plainValues(t, s, moved))
			assert.Equal(t, want, plainValues(t, s, cookie), "until the browser has the new one")

			cookies, err = change(t, s, func(session *gsessions.Session) { session.Values["c"] = 3 }, cookie)
			require.NoError(t, err)
			require.Len(t, cookies, 1)
			assert.Equal(t, moved.Value, cookies[0].Value)

			_, err = change(t, s, func(session *gsessions.Session) { session.Options.MaxAge = -1 }, moved)
			require.NoError(t, err)
			assert.Empty(t, plainValues(t, s, cookie), "the old one opens nothing any more")
		})
	}
}

func TestPlainMigrateOfParallelRequests(t *testing.T) {
	cookie, s := migrated(t, ginmemstore.NewStore([]byte("secret")))
	inFlight := request(cookie)
	session, err := s.Get(inFlight, "new")
	require.NoError(t, err)
	first, err := change(t, s, func(session *gsessions.Session) { session.Values["b"] = 2 }, cookie)
	require.NoError(t, err)
	session.Values["c"] = 3
	w := httptest.NewRecorder()
	require.NoError(t, session.Save(inFlight, w))
	second := cookiesOf(t, w)[0]
	assert.Equal(t, first[0].Value, second.Value)
	assert.Equal(t, map[any]any{"a": 1, "b": 2, "c": 3, 7: "x"}, plainValues(t, s, second))
	session.Values["d"] = 4
	require.NoError(t, session.Save(inFlight, httptest.NewRecorder()), "a second time")
	assert.Len(t, plainValues(t, s, second), 5)
}

func TestPlainMigrateLogoutWins(t *testing.T) {
	cookie, s := migrated(t, gincookie.NewStore([]byte("secret")))
	inFlight := request(cookie)
	session, err := s.Get(inFlight, "new")
	require.NoError(t, err)
	cookies, err := change(t, s, func(session *gsessions.Session) { session.Options.MaxAge = -1 }, cookie)
	require.NoError(t, err)
	assert.Len(t, cookies, 2)
	session.Values["c"] = 3
	w := httptest.NewRecorder()
	require.ErrorIs(t, session.Save(inFlight, w), store.ErrEnded)
	assert.Empty(t, w.Header())
	assert.Empty(t, plainValues(t, s, cookie))
}

// TestPlainMigrateOfLongCookies: what has ended stays ended for as long as the old store
// takes its cookie.
func TestPlainMigrateOfLongCookies(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		cookies := gsessions.NewCookieStore([]byte("secret"))
		cookies.MaxAge(int(90 * day / time.Second))
		old, next := oldStore{cookies}, memstore.New()
		defer func() { assert.NoError(t, next.Close()) }()
		cookie := saveOld(t, old, func(session *gsessions.Session) { session.Values["a"] = 1 })
		s := store.Migrate(old, next, "old")
		assert.NotEmpty(t, plainValues(t, s, cookie))
		_, err := change(t, s, func(session *gsessions.Session) { session.Options.MaxAge = -1 }, cookie)
		require.NoError(t, err)
		for range 100 {
			require.Empty(t, plainValues(t, s, cookie))
			time.Sleep(day)
		}
	})
}

// TestMigrateLeavesNothing: a store of this module that was used without the middleware has
// nothing left of what has moved.
func TestMigrateLeavesNothing(t *testing.T) {
	from, to := memstore.New(), memstore.New()
	defer func() { assert.NoError(t, errors.Join(from.Close(), to.Close())) }()
	before := gin.New()
	before.Use(sessions.Sessions("old", from))
	before.GET("/login", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Set("user", "42")
		assert.NoError(t, s.Save())
	})
	user := func(values map[any]any) string { user, _ := values["user"].(string); return user }
	after := kittest.NewSite(store.Migrate(from, to, "old", user), sessionkit.Config{})
	after.On("/", kittest.Whoami)
	b := kittest.NewBrowser(t, before)
	b.Get("/login")
	b = b.At(after)
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.Equal(t, "42", b.Get("/").Body.String())
	n, err := from.Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n.Live)
	assert.Empty(t, after.Errors())
}

// TestMigrateOverAMigrate: a session may still be in the first of three stores.
func TestMigrateOverAMigrate(t *testing.T) {
	first, second, third := ginmemstore.NewStore(kittest.TestSecret), memstore.New(), memstore.New()
	defer func() { assert.NoError(t, errors.Join(second.Close(), third.Close())) }()
	user := func(map[any]any) string { return "42" }
	cookie := saveOld(t, first, func(session *gsessions.Session) { session.Values["a"] = 1 })
	after := kittest.NewSite(store.Migrate(store.Migrate(first, second, "old", user), third, "old", user), sessionkit.Config{})
	after.On("/", kittest.Whoami)
	after.On("/increment", kittest.Increment)
	b := kittest.NewBrowser(t, after)
	b.Cookies["old"] = cookie.Value
	assert.Less(t, b.Get("/increment").Code, http.StatusMultipleChoices)
	delete(b.Cookies, "old")
	assert.Equal(t, "42", b.Get("/").Body.String())
	assert.Empty(t, after.Errors())
}

func TestMigrateWithGinContribAlone(t *testing.T) {
	gin.SetMode(gin.TestMode)
	cookie, s := migrated(t, ginmemstore.NewStore([]byte("secret")))
	r := gin.New()
	r.Use(sessions.Sessions("new", s))
	r.GET("/", func(c *gin.Context) {
		session := sessions.Default(c)
		session.Set("n", session.Get("a"))
		assert.NoError(t, session.Save())
	})
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request(cookie))
	assert.Equal(t, map[any]any{"a": 1, "n": 1, 7: "x"}, plainValues(t, s, cookiesOf(t, w)[0]))
}

func request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// toMove begins a session in one store, of which adopt returns what moves it to another one, as
// for a further request each time.
func toMove(t *testing.T, from, to *store.Store) (r *http.Request, adopt func() kitstore.Mover) {
	t.Helper()
	old, _ := kitstore.Of(from)
	now := time.Now()
	token, _, _, err := old.Create(t.Context(), store.Record{
		Name: "session", Created: now, Seen: now, Expires: now.Add(time.Hour), Values: map[string]string{"n": "1"},
	}, signin.Attempt{})
	require.NoError(t, err)
	moved, _ := kitstore.Of(store.Migrate(from, to, "session"))
	r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	return r, func() kitstore.Mover {
		_, _, _, m, err := moved.(kitstore.Successor).Adopt(r, "session", []string{token})
		require.NoError(t, err)
		return m.(kitstore.Mover)
	}
}

// TestConditionOfAMove: of two requests that move a session with a change on the same
// condition, the later one is told what stands.
func TestConditionOfAMove(t *testing.T) {
	from, to := memstore.New(), memstore.New()
	defer func() { assert.NoError(t, errors.Join(from.Close(), to.Close())) }()
	r, adopt := toMove(t, from, to)
	change := func(text string) store.Change {
		return store.Change{Set: map[string]string{"n": text}, If: &store.Condition{Name: "n", Text: "1"}}
	}
	first, second := adopt(), adopt()
	_, _, outcome, err := first.Update(t.Context(), r, "session", change("2"))
	require.NoError(t, err)
	assert.True(t, outcome.Changed())
	_, _, outcome, err = second.Update(t.Context(), r, "session", change("3"))
	require.NoError(t, err)
	assert.Equal(t, store.Outcome{Found: true, Conflict: true, Text: "2"}, outcome)
}

// TestAbandonedMove: of two requests that sign in over a session which has yet to move, one
// moves it. What the other has stored does not stay, also if it could not be taken back at once.
func TestAbandonedMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, b := memstore.New(), kittest.NewBackend()
		to := kittest.StoreOver(b)
		r, adopt := toMove(t, from, to)
		now := time.Now()
		next := store.Record{Name: "session", User: "bob", Created: now, Seen: now, Expires: now.Add(time.Hour)}
		first, second := adopt(), adopt()
		_, _, _, found, err := first.SignIn(t.Context(), r, next, nil, signin.Attempt{Began: now})
		require.NoError(t, err)
		require.True(t, found)
		b.Failing(kittest.ErrDown, "end", "delete")
		_, _, _, _, err = second.SignIn(t.Context(), r, next, nil, signin.Attempt{Began: now})
		require.ErrorIs(t, err, kittest.ErrDown)
		require.Len(t, kittest.UserSessions(t, to, "bob"), 2)
		b.Failing(nil)
		time.Sleep(2 * time.Second)
		assert.Len(t, kittest.UserSessions(t, to, "bob"), 1)
		require.NoError(t, to.Close())
		require.NoError(t, from.Close())
	})
}

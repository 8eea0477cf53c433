package expresslive_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store/express"
)

// TestParallelChanges: what this side changes at the same time stands, with requests of
// Node in between that change nothing.
func TestParallelChanges(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/login", "user", "ada")
		const many = 40
		var all sync.WaitGroup
		counts := make([]string, many)
		for i := range many {
			all.Go(func() { b.get("/gin/set", "name", fmt.Sprint("value ", i), "value", strconv.Itoa(i)) })
			all.Go(func() { counts[i] = b.get("/gin/count") })
			all.Go(func() { b.get("/node/me") })
		}
		all.Wait()
		seen := make(map[string]bool)
		for i := range many {
			assert.Equal(t, strconv.Itoa(i), b.get("/node/get", "name", fmt.Sprint("value ", i)))
			assert.False(t, seen[counts[i]], "no two get the same number")
			seen[counts[i]] = true
		}
		assert.Equal(t, strconv.Itoa(many), b.get("/node/get", "name", "counter"))
	})
}

// TestParallelChangesInStricterIsolation: then PostgreSQL takes statements back, which must not
// be seen.
func TestParallelChangesInStricterIsolation(t *testing.T) {
	m := newPostgres(t)
	for _, isolation := range []string{"repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			db, err := sql.Open("pgx", testserver.Postgres(t)+" default_transaction_isolation='"+isolation+"'")
			require.NoError(t, err)
			defer func() { assert.NoError(t, db.Close()) }()
			db.SetMaxOpenConns(10)
			m.write(t, "x", `{"cookie":{}}`)
			s := express.Postgres(db, express.Config{Secrets: secrets, Table: m.table})
			numbered := func(i int) sessionkit.Key[int] { return sessionkit.NewKey[int](fmt.Sprint("value ", i)) }
			const many = 40
			var all sync.WaitGroup
			for i := range many {
				all.Go(func() {
					res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) { numbered(i).Set(c, i) })
					assert.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
				})
				all.Go(func() {
					res := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "ada") })
					assert.Equal(t, http.StatusOK, res.StatusCode, res.Header["Errors"])
				})
			}
			all.Wait()
			inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
				for i := range many {
					got, ok := numbered(i).Get(c)
					assert.True(t, ok)
					assert.Equal(t, i, got)
				}
			})
		})
	}
}

// TestNodeChangesMeanwhile: a request of this side changes its own values only.
func TestNodeChangesMeanwhile(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/login", "user", "ada")
		g := newGate(t.Name())
		var slow sync.WaitGroup
		slow.Go(func() { b.get("/gin/slow", "gate", t.Name()) })
		<-g.began
		b.get("/node/add", "item", "tea")
		close(g.open)
		slow.Wait()
		assert.Equal(t, "true", b.get("/node/get", "name", "slow"))
		assert.JSONEq(t, `[{"name":"tea","n":1}]`, b.get("/node/get", "name", "cart"))
	})
}

// TestSetOfWhatWasLoaded: to set what Node has stored is no change, and what Node has stored
// meanwhile stands.
func TestSetOfWhatWasLoaded(t *testing.T) {
	type prefs struct {
		Theme string `json:"theme"`
	}
	n, name, theme := sessionkit.NewKey[int64]("n"), sessionkit.NewKey[string]("name"), sessionkit.NewKey[prefs]("prefs")
	const before = `{"cookie":{},  "n":1, "name":"ada", "prefs":{"size":3, "theme":"dark"}}`
	const after = `{"cookie":{},"n":2,"name":"eve","prefs":{"theme":"light"}}`
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newStore(m)
		for want, meanwhile := range map[string]func(){
			before: func() {},
			after:  func() { m.write(t, "x", after) },
		} {
			m.write(t, "x", before)
			res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
				number, _ := n.Get(c)
				user, _ := name.Get(c)
				look, ok := theme.Get(c)
				assert.True(t, ok)
				meanwhile()
				n.Set(c, number)
				name.Set(c, user)
				theme.Set(c, look)
			})
			assert.Equal(t, http.StatusOK, res.StatusCode)
			assert.Equal(t, want, m.read(t, "x"))
		}
	})
}

// TestNodeStoresMeanwhile: a session is not there when it is changed in PostgreSQL, and is again
// when the store finds out why.
func TestNodeStoresMeanwhile(t *testing.T) {
	m := newPostgres(t)
	db, err := sql.Open("pgx", testserver.Postgres(t))
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	exec := func(statement string) {
		_, err := db.ExecContext(t.Context(), strings.ReplaceAll(statement, `"session"`, `"`+m.table+`"`))
		require.NoError(t, err)
	}
	exec(`CREATE FUNCTION "session"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO "session" VALUES ('x', '{"cookie":{},"a":1}', localtimestamp + interval '1 hour') ON CONFLICT DO NOTHING;
		RETURN NULL;
	END $$`)
	exec(`CREATE TRIGGER late AFTER UPDATE ON "session" EXECUTE FUNCTION "session"()`)
	m.write(t, "x", `{"cookie":{}}`)
	s := newStore(m)
	res := inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
		_, _ = counter.Get(c)
		exec(`DELETE FROM "session"`)
		counter.Set(c, 5)
	})
	assert.Empty(t, res.Header["Errors"])
	inside(t, s, seal(secrets, "x"), func(c *gin.Context) {
		is(t, c, "a", 1)
		is(t, c, "counter", 5)
	})
}

// TestNodeEndsMeanwhile: a session that Node has destroyed stays away.
func TestNodeEndsMeanwhile(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/login", "user", "ada")
		g := newGate(t.Name())
		var slow sync.WaitGroup
		slow.Go(func() {
			status, _ := b.try("/gin/slow", "gate", t.Name())
			assert.Equal(t, http.StatusServiceUnavailable, status)
		})
		<-g.began
		b.get("/node/logout")
		close(g.open)
		slow.Wait()
		assert.Equal(t, "null", b.get("/node/me"))
		assert.Zero(t, m.count(t))

		for range 10 { // without the order that the gate gives
			b := s.browser(t)
			b.get("/node/login", "user", "ada")
			sid := b.sid()
			var all sync.WaitGroup
			for i := range 8 {
				other := b.fork()
				all.Go(func() { other.try("/gin/set", "name", fmt.Sprint(i), "value", "1") })
				all.Go(func() { other.try("/gin/renew") })
			}
			all.Go(func() { b.fork().get("/node/logout") })
			all.Wait()
			assert.Empty(t, m.read(t, sid))
		}
	})
}

// TestNodeOverwrites shows what the documents say cannot be prevented: Node saves a
// session as it has read it.
func TestNodeOverwrites(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		slowly := func(b *browser, meanwhile func()) {
			var slow sync.WaitGroup
			slow.Go(func() { b.get("/node/slow") })
			s.browser(t).get("/node/slow-began")
			meanwhile()
			s.browser(t).get("/node/release")
			slow.Wait()
		}
		b := s.browser(t)
		b.get("/node/login", "user", "ada")
		slowly(b, func() { b.get("/gin/add", "item", "tea") })
		assert.Equal(t, "null", b.get("/gin/get", "name", "cart"), "what was put meanwhile is lost")

		b.get("/node/login", "user", "ada")
		b.get("/node/delete", "name", "slow")
		copied := b.fork()
		slowly(b.fork(), func() { b.get("/gin/logout") })
		assert.Equal(t, `"ada"`, copied.get("/gin/me"), "a sign-out is undone")
	})
}

// TestLateRequest shows the other limit: a request with the ID that a session had
// before finds none, and what it changes is refused.
func TestLateRequest(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for _, side := range []string{"/node", "/gin"} {
			b := s.browser(t)
			b.get("/gin/login", "user", "ada")
			late := b.fork()
			g := newGate(t.Name() + side)
			var slow sync.WaitGroup
			slow.Go(func() {
				status, _ := late.try("/gin/slow", "gate", t.Name()+side)
				assert.Equal(t, http.StatusServiceUnavailable, status)
			})
			<-g.began
			b.get(side + "/renew")
			close(g.open)
			slow.Wait()
			assert.Equal(t, "null", late.get("/gin/me"))
			assert.Equal(t, `"ada"`, b.get("/gin/me"))
			assert.Equal(t, "null", b.get("/gin/get", "name", "slow"))
		}
	})
}

// TestDoneOfARenewedSession: nor does a stream know where its session has gone.
func TestDoneOfARenewedSession(t *testing.T) {
	s := newStore(newRedis(t))
	cookie := inside(t, s, "", func(c *gin.Context) { sessionkit.Login(c, "ada") }).Cookies()[0].Value
	inside(t, s, cookie, func(c *gin.Context) {
		ended := sessionkit.Done(c)
		inside(t, s, cookie, sessionkit.Confirm)
		kittest.AwaitEnd(t, ended)
	})
}

// TestTimeToLive: use on either side keeps a session, and the store's time counts, not
// what the record says.
func TestTimeToLive(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{Cookie: express.Cookie{MaxAge: 10 * time.Minute}}, sessionkit.Config{}, "MAX_AGE=600000")
		near := func(want time.Duration, b *browser) {
			t.Helper()
			assert.InDelta(t, want.Seconds(), m.left(t, b.sid()).Seconds(), 3)
		}
		b := s.browser(t)
		b.get("/node/add", "item", "tea")
		near(10*time.Minute, b)
		b.get("/node/expire", "ms", "300000")
		near(5*time.Minute, b)
		b.get("/gin/renew")
		near(10*time.Minute, b)

		b.get("/gin/login", "user", "ada")
		near(24*time.Hour, b) // as the stores of Node have it without a maxAge
		b.get("/node/add", "item", "cake")
		near(24*time.Hour, b)
		require.Equal(t, `"ada"`, b.get("/gin/me"))

		visitor := s.browser(t)
		visitor.get("/gin/add", "item", "tea")
		near(10*time.Minute, visitor)
		visitor.get("/node/me")
		near(10*time.Minute, visitor)
	})
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{}, sessionkit.Config{})
		for _, side := range []string{"/node", "/gin"} {
			b := s.browser(t)
			b.get(side+"/login", "user", "ada")
			for _, other := range []string{"/node", "/gin"} {
				b.get(other+"/add", "item", "tea")
				assert.InDelta(t, (24 * time.Hour).Seconds(), m.left(t, b.sid()).Seconds(), 3, "as the stores of Node have it without a maxAge")
			}
		}
	})
}

// TestUseIsRecorded: a session that Node made is kept alive by reads of this side.
func TestUseIsRecorded(t *testing.T) {
	eachMedium(t, func(t *testing.T, m *medium) {
		s := newSite(t, m, express.Config{TTL: 90 * time.Minute}, sessionkit.Config{})
		b := s.browser(t)
		b.get("/node/add", "item", "tea")
		text := m.read(t, b.sid())
		m.write(t, b.sid(), text) // for an hour
		b.get("/gin/get", "name", "cart")
		assert.InDelta(t, (90 * time.Minute).Seconds(), m.left(t, b.sid()).Seconds(), 3)
		assert.Equal(t, text, m.read(t, b.sid()), "of which the record says nothing")
	})
}

// TestCookieIsSentAgain: someone who is busy on this side keeps a cookie with a maxAge,
// whichever side has sent it.
func TestCookieIsSentAgain(t *testing.T) {
	const maxAge = 2 * time.Hour
	m := newRedis(t)
	s := m.store(express.Config{Secrets: secrets, User: express.User{Name: "userId"}, Cookie: express.Cookie{MaxAge: maxAge}})
	read, write := func(c *gin.Context) { _, _ = counter.Get(c) }, func(c *gin.Context) { counter.Set(c, time.Now().Nanosecond()) }
	guarded := func(c *gin.Context) { // the guard records the use before the handler runs
		c.Request.Method = http.MethodPost
		sessionkit.RequireSession(sessionkit.GuardConfig{Check: func(*gin.Context) bool { return true }})(c)
	}
	m.write(t, "x", `{"cookie":{"originalMaxAge":7200000},"userId":"ada"}`)
	for name, cookie := range map[string]string{
		"signed in by Node":        seal(secrets, "x"),
		"a visitor's of this side": inside(t, s, "", write).Cookies()[0].Value,
	} {
		t.Run(name, func(t *testing.T) {
			sid, _ := open(secrets, cookie)
			for _, use := range []func(c *gin.Context){read, write, guarded} {
				for range 2 { // an hour passes
					m.write(t, sid, m.read(t, sid))
					res := inside(t, s, cookie, use)
					require.Len(t, res.Cookies(), 1)
					assert.Equal(t, cookie, res.Cookies()[0].Value)
					assert.GreaterOrEqual(t, res.Cookies()[0].MaxAge, int(maxAge.Seconds()))
					assert.Empty(t, inside(t, s, cookie, use).Cookies(), "use was recorded just now")
				}
			}
			m.write(t, sid, m.read(t, sid))
			assert.Empty(t, inside(t, s, cookie, func(c *gin.Context) {
				c.Writer.WriteHeaderNow()
				write(c)
			}).Cookies(), "the header has gone out")
			assert.Len(t, inside(t, s, cookie, read).Cookies(), 1, "use was recorded just now, and no cookie was sent")
			assert.Empty(t, inside(t, s, cookie, read).Cookies())
			assert.NotContains(t, m.read(t, sid), value.CookieDue)
		})
	}
	m.write(t, "z", `{"cookie":{"originalMaxAge":86400000}}`) // as long as the ttl
	res := inside(t, m.store(express.Config{Secrets: secrets}), seal(secrets, "z"), read)
	require.Len(t, res.Cookies(), 1)
	assert.Positive(t, res.Cookies()[0].MaxAge, "Node has said so of this session")
	visitor := seal(secrets, "y")
	m.write(t, "y", `{"cookie":{"originalMaxAge":null}}`)
	s = m.store(express.Config{Secrets: secrets})
	assert.Empty(t, inside(t, s, visitor, write).Cookies(), "one that ends with the browser need not be sent again")
}

package main

import (
	"net/http"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

const (
	bareName       = "bare Gin"
	kitMemory      = "sessionkit memstore"
	kitSQLite      = "sessionkit sqlstore"
	kitRedis       = "sessionkit redisstore"
	kitRedisDirect = "sessionkit redisstore, no cache"
)

// bareGin parses a cookie and answers as the others do.
func bareGin() peer {
	const name = "session"
	parse := func(c *gin.Context) {
		if _, err := c.Cookie(name); err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		ginText(c, answerSmall(valueName, 1))
	}
	open := func(surroundings) (*app, error) {
		r := gin.New()
		r.GET(routes[routeAnonymous].path, func(c *gin.Context) { ginText(c, saidHello) })
		r.POST(routes[routeStartSmall].path, func(c *gin.Context) {
			c.SetCookie(name, "2jmj7l5rSw0yVb_vlWAYkK_YBwk2jmj7l5rSw0yVb_v", 0, "/", "", true, true)
			ginText(c, answerSmall(valueName, 1))
		})
		r.GET(routes[routeReadSmall].path, parse)
		r.POST(routes[routeWriteSmall].path, parse)
		return &app{handler: r, serve: serveHTTP(r)}, nil
	}
	return peer{
		name: bareName, open: open, lacks: "it has no session: it parses a cookie",
		does: func(w work, c content) bool { return c == small && w != update && w != signIn && w != signOut },
	}
}

func ginText(c *gin.Context, text string) {
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(text))
}

func kits() []peer {
	kit := func(name string, m medium, open func(surroundings) (*store.Store, error)) peer {
		return peer{name: name, medium: m, does: worked, renews: true, ends: true, open: func(s surroundings) (*app, error) {
			sessions, err := open(s)
			if err != nil {
				return nil, err
			}
			s.close.add(sessions.Close)
			r := newKitRouter(sessions)
			return &app{handler: r, serve: serveHTTP(r)}, nil
		}}
	}
	return []peer{
		kit(kitMemory, inMemory, openMemstore),
		kit(kitSQLite, inSQLite, openSQLstore),
		kit(kitRedis, inRedis, func(s surroundings) (*store.Store, error) {
			return openRedisstore(s, redisstore.Config{Prefix: "cached:"})
		}),
		kit(kitRedisDirect, inRedis, func(s surroundings) (*store.Store, error) {
			return openRedisstore(s, redisstore.Config{Prefix: "direct:", CacheBytes: -1})
		}),
	}
}

func openMemstore(s surroundings) (*store.Store, error) {
	if s.tally != nil {
		return store.New(s.tally.backend(memstore.NewBackend()), store.Config{Timeout: -1}), nil
	}
	return memstore.New(), nil
}

func openSQLstore(s surroundings) (*store.Store, error) {
	db, err := openSQLite(s, "sessionkit.db")
	if err != nil {
		return nil, err
	}
	return sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.SQLite})
}

func openRedisstore(s surroundings, configs ...redisstore.Config) (*store.Store, error) {
	return redisstore.Open("redis://"+s.redis, configs...)
}

// The session values of the kit's own router.
var (
	keyName  = sessionkit.NewKey[string]("name")
	keyTheme = sessionkit.NewKey[string]("theme")
	keyLang  = sessionkit.NewKey[string]("lang")
	keyToken = sessionkit.NewKey[string]("csrf")
	keyCount = sessionkit.NewKey[int]("count")
	keyText  = sessionkit.NewKey[string]("text")
)

func newKitRouter(sessions *store.Store) *gin.Engine {
	var written atomic.Int64
	written.Store(1) // which every session starts with
	r := gin.New()
	r.Use(sessionkit.Sessions(sessions))
	r.GET(routes[routeAnonymous].path, func(c *gin.Context) { ginText(c, saidHello) })
	r.POST(routes[routeStartSmall].path, func(c *gin.Context) {
		kitStart(c)
		ginText(c, answerSmall(valueName, 1))
	})
	r.POST(routes[routeStartLarge].path, func(c *gin.Context) {
		kitStart(c)
		keyText.Set(c, largeTexts[1])
		ginText(c, answerLarge(valueName, largeTexts[1]))
	})
	r.GET(routes[routeReadSmall].path, func(c *gin.Context) {
		name, _ := keyName.Get(c)
		count, _ := keyCount.Get(c)
		ginText(c, answerSmall(name, count))
	})
	r.GET(routes[routeReadLarge].path, func(c *gin.Context) {
		name, _ := keyName.Get(c)
		text, _ := keyText.Get(c)
		ginText(c, answerLarge(name, text))
	})
	r.POST(routes[routeWriteSmall].path, func(c *gin.Context) {
		count := int(written.Add(1))
		keyCount.Set(c, count)
		ginText(c, answerSmall(valueName, count))
	})
	r.POST(routes[routeWriteLarge].path, func(c *gin.Context) {
		text := largeText(written.Add(1))
		keyText.Set(c, text)
		ginText(c, answerLarge(valueName, text))
	})
	r.POST(routes[routeUpdateSmall].path, func(c *gin.Context) {
		count, err := keyCount.Update(c, func(int) int { return int(written.Add(1)) })
		kitAnswer(c, answerSmall(valueName, count), err)
	})
	r.POST(routes[routeUpdateLarge].path, func(c *gin.Context) {
		text, err := keyText.Update(c, func(string) string { return largeText(written.Add(1)) })
		kitAnswer(c, answerLarge(valueName, text), err)
	})
	for _, k := range kinds {
		k.kit(r)
	}
	r.POST(routes[routeSignIn].path, func(c *gin.Context) {
		sessionkit.Login(c, userID)
		ginText(c, userID)
	})
	r.GET(routes[routeUser].path, func(c *gin.Context) {
		user, ok := sessionkit.User(c)
		if !ok {
			user = saidNone
		}
		ginText(c, user)
	})
	r.POST(routes[routeSignOut].path, func(c *gin.Context) {
		sessionkit.Logout(c)
		ginText(c, saidBye)
	})
	return r
}

func kitAnswer(c *gin.Context, text string, err error) {
	if err != nil {
		_ = c.AbortWithError(http.StatusInternalServerError, err)
		return
	}
	ginText(c, text)
}

func kitStart(c *gin.Context) {
	keyName.Set(c, valueName)
	keyTheme.Set(c, valueTheme)
	keyLang.Set(c, valueLang)
	keyToken.Set(c, valueToken)
	keyCount.Set(c, 1)
}

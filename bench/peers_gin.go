package main

import (
	"fmt"
	"sync/atomic"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	gormsessions "github.com/gin-contrib/sessions/gorm"
	"github.com/gin-contrib/sessions/memstore"
	"github.com/gin-contrib/sessions/redis"
	"github.com/gin-gonic/gin"
	gormsqlite "github.com/libtnb/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

const (
	ginCookie = "gin-contrib cookie"
	ginMemory = "gin-contrib memstore"
	ginSQLite = "gin-contrib gorm/sqlite"
	ginRedis  = "gin-contrib redis"
)

// ginSecret is of the length that gin-contrib recommends for authentication.
var ginSecret = []byte("a secret of thirty-two characters, or of sixty-four, as this is.")

func ginContribs() []peer {
	contrib := func(name string, m medium, open func(surroundings) (sessions.Store, error)) peer {
		return peer{
			name: name, medium: m, does: everything, ends: true, lacks: "it cannot change a session's ID",
			open: func(s surroundings) (*app, error) {
				store, err := open(s)
				if err != nil {
					return nil, err
				}
				r := newGinRouter(store)
				return &app{handler: r, serve: serveHTTP(r)}, nil
			},
		}
	}
	inBrowser := contrib(ginCookie, inCookie, func(surroundings) (sessions.Store, error) { return cookie.NewStore(ginSecret), nil })
	inBrowser.ends = false
	inBrowser.does = func(w work, c content) bool { return c != large && everything(w, c) }
	inBrowser.lacks = "it cannot end a session, and 4 kB do not fit into a cookie"
	return []peer{
		inBrowser,
		contrib(ginMemory, inMemory, func(surroundings) (sessions.Store, error) { return memstore.NewStore(ginSecret), nil }),
		contrib(ginSQLite, inSQLite, openGorm),
		contrib(ginRedis, inRedis, openGinRedis),
	}
}

func openGorm(s surroundings) (sessions.Store, error) {
	conn, err := openSQLite(s, "gorm.db")
	if err != nil {
		return nil, err
	}
	// The default logger would report writes that wait for each other.
	db, err := gorm.Open(gormsqlite.New(gormsqlite.Config{Conn: conn}), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	store := gormsessions.NewStore(db, true, ginSecret)
	store.(interface{ MaxLength(int) }).MaxLength(0) // else sessions over 4096 bytes are refused
	return store, nil
}

func openGinRedis(s surroundings) (sessions.Store, error) {
	// As many idle connections as requests come at a time; the example of the
	// documentation has 10, and would open new ones all the time.
	store, err := redis.NewStore(maxAtATime, "tcp", s.redis, "", "", ginSecret)
	if err != nil {
		return nil, err
	}
	inner, err := redis.GetRedisStore(store)
	if err != nil {
		return nil, err
	}
	inner.SetMaxLength(0) // else sessions over 4096 bytes are refused
	s.close.add(inner.Close)
	return store, nil
}

func newGinRouter(store sessions.Store) *gin.Engine {
	var written atomic.Int64
	written.Store(1) // which every session starts with
	r := gin.New()
	r.Use(sessions.Sessions("mysession", store))
	r.GET(routes[routeAnonymous].path, func(c *gin.Context) { ginText(c, saidHello) })
	r.POST(routes[routeStartSmall].path, func(c *gin.Context) {
		ginStart(sessions.Default(c))
		ginSave(c, answerSmall(valueName, 1))
	})
	r.POST(routes[routeStartLarge].path, func(c *gin.Context) {
		session := sessions.Default(c)
		ginStart(session)
		session.Set("text", largeTexts[1])
		ginSave(c, answerLarge(valueName, largeTexts[1]))
	})
	r.GET(routes[routeReadSmall].path, func(c *gin.Context) {
		session := sessions.Default(c)
		name, _ := session.Get("name").(string)
		count, _ := session.Get("count").(int)
		ginText(c, answerSmall(name, count))
	})
	r.GET(routes[routeReadLarge].path, func(c *gin.Context) {
		session := sessions.Default(c)
		name, _ := session.Get("name").(string)
		text, _ := session.Get("text").(string)
		ginText(c, answerLarge(name, text))
	})
	r.POST(routes[routeWriteSmall].path, func(c *gin.Context) {
		count := int(written.Add(1))
		sessions.Default(c).Set("count", count)
		ginSave(c, answerSmall(valueName, count))
	})
	r.POST(routes[routeWriteLarge].path, func(c *gin.Context) {
		text := largeText(written.Add(1))
		sessions.Default(c).Set("text", text)
		ginSave(c, answerLarge(valueName, text))
	})
	for _, k := range kinds {
		k.gin(r)
	}
	r.POST(routes[routeSignIn].path, func(c *gin.Context) {
		sessions.Default(c).Set("user", userID)
		ginSave(c, userID)
	})
	r.GET(routes[routeUser].path, func(c *gin.Context) {
		user, ok := sessions.Default(c).Get("user").(string)
		if !ok {
			user = saidNone
		}
		ginText(c, user)
	})
	r.POST(routes[routeSignOut].path, func(c *gin.Context) {
		session := sessions.Default(c)
		session.Clear()
		session.Options(sessions.Options{Path: "/", MaxAge: -1})
		ginSave(c, saidBye)
	})
	return r
}

func ginStart(session sessions.Session) {
	session.Set("name", valueName)
	session.Set("theme", valueTheme)
	session.Set("lang", valueLang)
	session.Set("csrf", valueToken)
	session.Set("count", 1)
}

func ginSave(c *gin.Context, answer string) {
	if err := sessions.Default(c).Save(); err != nil {
		_ = c.AbortWithError(500, fmt.Errorf("saving the session: %w", err))
		return
	}
	ginText(c, answer)
}

package howto

import (
	"database/sql"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// Process returns the middleware of one of several processes, and its store.
func Process(redis string, secrets [][]byte) (gin.HandlerFunc, *store.Store, error) {
	s, err := redisstore.Open(redis) // one server for all processes, such as "redis://10.0.0.5:6379"
	if err != nil {
		return nil, nil, err
	}
	return sessionkit.Sessions(s, sessionkit.Config{Secrets: secrets}), s, nil // and one Config
}

// Settings are a session value that was a text in an earlier release.
type Settings struct {
	Theme string `json:"theme"`
	Dense bool   `json:"dense"` // new: false in what was stored before
}

var (
	settings = sessionkit.NewKey[Settings]("settings2") // another type has another name
	oldTheme = sessionkit.NewKey[string]("settings")    // what the last release wrote, until its sessions have ended
)

// SettingsOf returns a value that may have been stored by an earlier release.
func SettingsOf(c *gin.Context) Settings {
	if s, ok := settings.Get(c); ok {
		return s
	}
	theme, _ := oldTheme.Get(c)
	return Settings{Theme: theme}
}

// ChangeStore moves sessions from SQLite to Redis as they are used.
func ChangeStore(db *sql.DB, redis string) (gin.HandlerFunc, error) {
	old, err := sqlstore.New(db) // as it was
	if err != nil {
		return nil, err
	}
	now, err := redisstore.Open(redis)
	if err != nil {
		return nil, err
	}
	return sessionkit.Sessions(store.Migrate(old, now, "session")), nil // "session" is Config.Name
}

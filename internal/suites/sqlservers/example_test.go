package sqlservers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	db, err := sqlstore.OpenSQLite(filepath.Join(dir, "sessions.db"))
	if err != nil {
		panic(err)
	}
	s, err := sqlstore.New(db) // for r.Use(sessionkit.Sessions(s))
	if err != nil {
		panic(err)
	}

	app := gin.New()
	app.Use(sessionkit.Sessions(s))
	app.POST("/login", func(c *gin.Context) { sessionkit.Login(c, "42") })
	for range 2 {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/login", nil))
	}

	// Outside any request, the store lists and ends the sessions of a user.
	ctx := context.Background()
	list, err := s.Sessions(ctx, "42")
	fmt.Println(len(list), err)
	n, err := s.RevokeAll(ctx, "42")
	fmt.Println(n, err)

	// At the end of the program, the store before its database.
	fmt.Println(s.Close(), db.Close())
	// Output:
	// 2 <nil>
	// 2 <nil>
	// <nil> <nil>
}

func ExampleSchema() {
	fmt.Print(sqlstore.Schema(sqlstore.PostgreSQL, "sessions"))
	// Output:
	// CREATE TABLE IF NOT EXISTS "sessions" (
	// 	id text COLLATE "C" NOT NULL PRIMARY KEY,
	// 	name text COLLATE "C",
	// 	kind text COLLATE "C",
	// 	user_id text COLLATE "C",
	// 	created bigint NOT NULL,
	// 	since bigint,
	// 	seen bigint NOT NULL,
	// 	expires bigint NOT NULL,
	// 	ended text COLLATE "C",
	// 	next text COLLATE "C",
	// 	data jsonb NOT NULL
	// );
	// CREATE INDEX IF NOT EXISTS "sessions_user_id" ON "sessions" (user_id) WHERE user_id IS NOT NULL AND ended IS NULL;
	// CREATE INDEX IF NOT EXISTS "sessions_expires" ON "sessions" (expires, kind, user_id);
}

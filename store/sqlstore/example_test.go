package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gin-sessionkit/sessionkit/store"
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

	// Outside any request, the store lists and ends the sessions of a user.
	ctx := context.Background()
	now := time.Now()
	for range 2 {
		_, _, err := s.Create(ctx, store.Record{User: "42", Created: now, Seen: now, Expires: now.Add(time.Hour)})
		if err != nil {
			panic(err)
		}
	}
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
	// 	user_id text COLLATE "C",
	// 	created bigint NOT NULL,
	// 	seen bigint NOT NULL,
	// 	expires bigint NOT NULL,
	// 	data jsonb NOT NULL
	// );
	// CREATE INDEX IF NOT EXISTS "sessions_user_id" ON "sessions" (user_id) WHERE user_id IS NOT NULL;
	// CREATE INDEX IF NOT EXISTS "sessions_expires" ON "sessions" (expires);
}

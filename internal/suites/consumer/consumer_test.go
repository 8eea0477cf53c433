// Package consumer_test shows what a program gets that imports sessionkit: what
// sessionkit's own tests and example need must not change its build.
package consumer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// own are the versions of drivers that the consumer names, each older than those of
// sessionkit's tests.
var own = map[string]string{
	"gorm.io/gorm":                   "v1.25.12",
	"github.com/jackc/pgx/v5":        "v5.7.1",
	"github.com/go-sql-driver/mysql": "v1.8.1",
}

const program = `package main

import (
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "gorm.io/gorm"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

func main() {
	r := gin.New()
	r.Use(sessionkit.Sessions(memstore.New()))
}
`

// consumer makes a module, has it tidied, and returns its go.mod.
func consumer(t *testing.T, source string, requires map[string]string) string {
	t.Helper()
	tidied, err := os.ReadFile(filepath.Join(module(t, source, requires), "go.mod"))
	require.NoError(t, err)
	return string(tidied)
}

// module makes a module that builds, and returns its directory.
func module(t *testing.T, source string, requires map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	dir := t.TempDir()
	var mod strings.Builder
	mod.WriteString("module example.com/shop\n\ngo 1.26.0\n\nreplace github.com/gin-sessionkit/sessionkit => " + root + "\n\n" +
		"require github.com/gin-sessionkit/sessionkit v0.0.0-00010101000000-000000000000\n")
	for path, version := range requires {
		mod.WriteString("\nrequire " + path + " " + version + "\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod.String()), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	run(t, dir, "mod", "tidy")
	run(t, dir, "build", "-o", os.DevNull, ".")
	return dir
}

func run(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", arguments...) // #nosec G204 -- of this test
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "go %s: %s", strings.Join(arguments, " "), out)
	return string(out)
}

var requirement = regexp.MustCompile(`(?m)^(?:require )?\t?([a-z][^\s]*) (v[^\s]+)`)

// versions returns what a go.mod requires.
func versions(mod string) map[string]string {
	list := make(map[string]string)
	for _, match := range requirement.FindAllStringSubmatch(mod, -1) {
		list[match[1]] = match[2]
	}
	return list
}

// foreign are modules that a program gets for no other reason than sessionkit's tests,
// example or other stores.
var foreign = regexp.MustCompile(`gorm|sqlite|modernc|pgx|mysql|lib/pq|redis|redigo|rueidis|chromedp|cdproto|memcache|testify|gzip|mongostore|mgo`)

func TestConsumerKeepsItsVersions(t *testing.T) {
	got := versions(consumer(t, program, own))
	for path, version := range own {
		assert.Equal(t, version, got[path], path)
	}
	assert.Contains(t, got, "github.com/gin-contrib/sessions")
}

func TestConsumerGetsNothingElse(t *testing.T) {
	testserver.Slow(t)
	source := regexp.MustCompile(`(?m)^\t_ .*\n`).ReplaceAllString(program, "")
	got := versions(consumer(t, source, nil))
	require.Contains(t, got, "github.com/gin-gonic/gin")
	for path := range got {
		assert.NotRegexp(t, foreign, path)
	}
}

// TestModulesRequireWhatTheyImport: the module that users require names no driver, ORM
// or browser, and its packages' tests need nothing but testify.
func TestModulesRequireWhatTheyImport(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	for path := range versions(string(mod)) {
		if path != "github.com/redis/rueidis" && path != "github.com/stretchr/testify" {
			assert.NotRegexp(t, foreign, path)
		}
	}
}

// overOldSQLite gives a session a new ID beside another record.
const overOldSQLite = `package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
	_ "modernc.org/sqlite"
)

func main() {
	db, err := sqlstore.OpenSQLite(os.Args[1])
	if err != nil {
		panic(err)
	}
	b, err := sqlstore.NewBackend(db)
	if err != nil {
		panic(err)
	}
	ctx, now := context.Background(), time.Now()
	r := store.Record{Created: now, Seen: now, Expires: now.Add(time.Hour), Values: map[string]string{"a": "1"}}
	trace := r
	trace.Ended, trace.Next, trace.Expires = store.Renewed, "new", now
	for _, id := range []string{"beside", "old"} {
		if _, err := b.Create(ctx, id, r); err != nil {
			panic(err)
		}
	}
	p := store.Peek{Name: "a", IDs: []string{"none", "beside"}}
	fmt.Println(b.(store.PeekingBackend).RotateAndPeek(ctx, "old", store.Move{ID: "new", Record: r, Trace: trace}, p))
	old, _, err := b.Load(ctx, "old")
	fmt.Println(old.Ended, err)
}
`

// TestOldSQLite: what is read beside a rotation is read in the oldest SQLite too.
func TestOldSQLite(t *testing.T) {
	testserver.Slow(t)
	dir := module(t, overOldSQLite, map[string]string{"modernc.org/sqlite": "v1.17.3"}) // SQLite 3.38.5
	assert.Equal(t, "true [ 1] <nil>\nrenewed <nil>\n", run(t, dir, "run", ".", filepath.Join(t.TempDir(), "sessions.db")))
}

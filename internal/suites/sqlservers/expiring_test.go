package sqlservers_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
)

// slow has statements take a while.
type slow struct {
	driver driver.Driver
	dsn    string
	before func(statement string)
}

func (s slow) Driver() driver.Driver { return s.driver }

func (s slow) Connect(context.Context) (driver.Conn, error) {
	c, err := s.driver.Open(s.dsn)
	return slowConn{c, s.before}, err
}

type slowConn struct {
	driver.Conn

	before func(string)
}

func (c slowConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.Conn.Prepare(query)
	return slowStmt{s, query, c.before}, err
}

type slowStmt struct {
	driver.Stmt

	text   string
	before func(string)
}

func (s slowStmt) Query(args []driver.Value) (driver.Rows, error) {
	s.before(s.text)
	return s.Stmt.Query(args) //nolint:staticcheck // the one without a context is shorter here
}

// TestChangeOfASessionThatExpiresMeanwhile: a change that has to be measured takes several
// statements. If the session expires between them, it is not reported as changed.
func TestChangeOfASessionThatExpiresMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "sessions.db") + "?_pragma=busy_timeout(1000)"
		var until time.Time
		db := sql.OpenDB(slow{openSQLite(t, file).Driver(), file, func(statement string) {
			if strings.HasPrefix(strings.TrimSpace(statement), "SELECT") {
				time.Sleep(time.Until(until))
			}
		}})
		defer func() { assert.NoError(t, db.Close()) }()
		b, _ := newBackend(t, db)
		id, r := newID(), record("", map[string]string{"a": `"123"`})
		r.Expires = time.Now().Add(time.Second)
		_, err := b.Create(t.Context(), id, r)
		require.NoError(t, err)
		until = r.Expires.Add(10 * time.Millisecond)
		outcome, err := b.Update(t.Context(), id, store.Change{Set: map[string]string{"a": `"456"`}, MaxBytes: 8})
		require.NoError(t, err)
		assert.False(t, outcome.Found)
		after, _, err := b.Load(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, r.Values, after.Values)
	})
}

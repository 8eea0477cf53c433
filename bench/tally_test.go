package main_test

import (
	"bufio"
	"database/sql"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// answerer is a server that answers the lines that end with a question mark, and
// tells of every line that it has read.
func answerer(t *testing.T) (address string, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	lines := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for s := bufio.NewScanner(c); s.Scan(); {
					if strings.HasSuffix(s.Text(), "?") {
						_, _ = c.Write([]byte("yes\n"))
					}
					lines <- s.Text()
				}
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String(), lines
}

func TestProxyCountsRoundTrips(t *testing.T) {
	server, heard := answerer(t)
	n := main.CountProxy(t, server, func(address string) {
		for range 2 {
			c, err := net.Dial("tcp", address)
			require.NoError(t, err)
			r := bufio.NewReader(c)
			for _, message := range []string{"more", "and now?", "again?"} { // the first two are one trip
				_, err = c.Write([]byte(message + "\n"))
				require.NoError(t, err)
				assert.Equal(t, message, <-heard)
				if strings.HasSuffix(message, "?") {
					answer, err := r.ReadString('\n')
					require.NoError(t, err)
					assert.Equal(t, "yes\n", answer)
				}
			}
			require.NoError(t, c.Close())
		}
	})
	assert.EqualValues(t, 4, n)
}

func TestSQLiteStatementsAreCounted(t *testing.T) {
	n := main.CountSQLite(t, func(db *sql.DB) {
		_, err := db.Exec("CREATE TABLE t (n)") // 1
		require.NoError(t, err)
		insert, err := db.Prepare("INSERT INTO t VALUES (?)")
		require.NoError(t, err)
		defer func() { _ = insert.Close() }()
		_, err = insert.Exec(1) // 2
		require.NoError(t, err)
		var sum int
		require.NoError(t, db.QueryRow("SELECT sum(n) FROM t").Scan(&sum)) // 3
		assert.Equal(t, 1, sum)
		tx, err := db.Begin() // 4
		require.NoError(t, err)
		require.NoError(t, tx.Commit()) // 5
	})
	assert.EqualValues(t, 5, n)
}

func TestBackendCallsAreCounted(t *testing.T) {
	n := main.CountBackend(memstore.NewBackend(), func(b store.Backend) {
		_, _ = b.Create(t.Context(), "id", store.Record{})
		_, _, _ = b.Load(t.Context(), "id")
		_, _ = b.Update(t.Context(), "id", store.Change{})
		_, _ = b.LoadFresh(t.Context(), "id")
		_, _ = b.Rotate(t.Context(), "id", store.Move{ID: "other"})
		_, _ = b.List(t.Context(), "user")
		_, _ = b.End(t.Context(), "user", store.Revoked, "other")
	})
	assert.EqualValues(t, 7, n)
}

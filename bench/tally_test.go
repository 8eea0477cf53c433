package main_test

import (
	"bufio"
	"database/sql"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// echo answers each line on each connection.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for lines := bufio.NewScanner(c); lines.Scan(); {
					_, _ = c.Write(append(lines.Bytes(), '\n'))
				}
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestProxyCountsRoundTrips(t *testing.T) {
	n := main.CountProxy(t, echo(t), func(address string) {
		for range 2 {
			c, err := net.Dial("tcp", address)
			require.NoError(t, err)
			r := bufio.NewReader(c)
			for _, message := range []string{"one\n", "two\nlines\n"} { // what is sent at once is one trip
				_, err = c.Write([]byte(message))
				require.NoError(t, err)
				for range len(message) / 4 {
					_, err = r.ReadString('\n')
					require.NoError(t, err)
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
		_, _ = b.Rotate(t.Context(), "id", "other", store.Record{}, nil)
		_, _ = b.List(t.Context(), "user")
		_, _ = b.Delete(t.Context(), "other")
	})
	assert.EqualValues(t, 6, n)
}

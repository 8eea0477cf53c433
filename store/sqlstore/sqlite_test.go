package sqlstore_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// TestOldSQLite: before 3.38 it lacks what the statements need, and would fail at the
// first request.
func TestOldSQLite(t *testing.T) {
	for version, old := range map[string]bool{
		"3.7.17": true, "3.36.0": true, "3.37.2": true, "3.38.0": false, "3.53.1": false, "4.0.0": false, "2.8.17": true, "unknown": false,
	} {
		err := sqlstore.CheckVersion(version)
		assert.Equal(t, old, err != nil, version)
		if old {
			assert.ErrorContains(t, err, "SQLite "+version+" is too old: it needs 3.38 or later")
		}
	}
}

func TestSQLiteDSN(t *testing.T) {
	for path, want := range map[string]string{
		"a.db": "a.db?_pragma=busy_timeout%285000%29&_pragma=journal_mode%28WAL%29&_pragma=synchronous%28NORMAL%29&_txlock=immediate",
		"a.db?_pragma=synchronous(full)&_txlock=deferred&_timeout=1":              "a.db?_pragma=synchronous%28full%29&_pragma=journal_mode%28WAL%29&_timeout=1&_txlock=deferred",
		"file:a.db?_journal_mode=DELETE&_pragma=BUSY_TIMEOUT=3&_sync=OFF&mode=rw": "file:a.db?_journal_mode=DELETE&_pragma=BUSY_TIMEOUT%3D3&_sync=OFF&_txlock=immediate&mode=rw",
	} {
		got, err := sqlstore.SQLiteDSN(path)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

package sqlretry_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gin-sessionkit/sessionkit/internal/sqlretry"
)

// TestLockedTable: with cache=shared, mattn/go-sqlite3 returns this error of a statement
// that met another connection's lock. modernc.org/sqlite waits by itself.
func TestLockedTable(t *testing.T) {
	for text, undone := range map[string]bool{
		"database table is locked": true, "database table is locked: sessions": true,
		"database is locked":                    false, // it has waited for the busy timeout already
		"UNIQUE constraint failed: sessions.id": false,
	} {
		assert.Equal(t, undone, sqlretry.Undone(errors.New(text)), text)
	}
}

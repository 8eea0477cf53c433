package sqlretry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/sqlretry"
)

// takenBackError is what PostgreSQL says of a statement that met another one's change.
type takenBackError struct{}

func (takenBackError) Error() string    { return "could not serialize access due to concurrent update" }
func (takenBackError) SQLState() string { return "40001" }

// TestDo: a statement that others overtake again and again is run until its turn comes, or
// the time for it is over. Under load, a sign-out beside four requests that change its
// session without a pause was taken back more than a dozen times.
func TestDo(t *testing.T) {
	run := func(ctx context.Context, times int) (runs int, err error) {
		err = sqlretry.Do(ctx, func() error {
			if runs++; runs <= times {
				return takenBackError{}
			}
			return nil
		})
		return runs, err
	}
	synctest.Test(t, func(t *testing.T) {
		runs, err := run(t.Context(), 40)
		require.NoError(t, err)
		assert.Equal(t, 41, runs)

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err = run(ctx, 40)
		require.ErrorIs(t, err, takenBackError{})
		require.ErrorIs(t, err, context.DeadlineExceeded, "why it was not run again")

		began := time.Now()
		_, err = run(t.Context(), 1000)
		require.Equal(t, takenBackError{}, err)
		assert.Less(t, time.Since(began), 10*time.Second)
	})
}

// TestMySQLErrors: the driver's texts.
func TestMySQLErrors(t *testing.T) {
	for text, undone := range map[string]bool{
		"Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction": true,
		"Error 1020 (HY000): Record has changed since last read in table 'sessions'":             true,
		"Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction":             false, // it has waited already
	} {
		assert.Equal(t, undone, sqlretry.Undone(errors.New(text)), text)
	}
}

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

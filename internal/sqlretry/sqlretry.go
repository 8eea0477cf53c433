// Package sqlretry runs statements again that a database has taken back.
package sqlretry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// most is how often a statement is run again: for some two or three seconds. A sign-out
// beside parallel changes of its session must come through, and at SERIALIZABLE each of
// these that is made takes back all that have begun.
const most = 48

// Do runs a statement, or a transaction, until the database does not take it back, and
// returns its error, with the cause of the context's end if that is why it is not run again.
func Do(ctx context.Context, run func() error) error {
	for try := 0; ; try++ {
		err := run()
		if err == nil || try == most || !Undone(err) {
			return err
		}
		if !Pause(ctx, try) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// Undone reports whether the database took the statement back, to be run again.
// Statements of one row each do not lock each other out, but servers may be set
// to stricter isolation than theirs is by default, or be a cluster whose nodes
// meet only at the commit.
func Undone(err error) bool {
	var state interface{ SQLState() string } // of pgx and pq
	if errors.As(err, &state) {
		switch state.SQLState() {
		case "40001", "40P01", "53200": // the last one: at SERIALIZABLE, no room for the locks of what runs just now
			return true
		}
		return false
	}
	// MySQL's driver has the number in a field, which needs its import, and so does one of
	// SQLite. MariaDB's 1020 comes with innodb_snapshot_isolation, the default since 11.6.2, if
	// another transaction has changed the row. With cache=shared, SQLite does not wait for the
	// locks of the process's other connections, but undoes the statement.
	for _, text := range []string{"Error 1213 ", "Error 1020 ", "database table is locked"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// Pause waits for a random time that grows with the tries, and reports whether
// the context still allows for another.
func Pause(ctx context.Context, try int) bool {
	longest := time.Millisecond << min(try, 7)
	select {
	case <-time.After(rand.N(longest)): // #nosec G404 -- it spreads the tries and keeps no secret
		return true
	case <-ctx.Done():
		return false
	}
}

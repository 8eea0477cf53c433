package sqlstore

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
)

const (
	// sweepEvery is how often expired rows are looked for.
	sweepEvery = time.Minute

	// batchTimeout bounds one statement, so that a server that hangs does not end
	// the removal for good.
	batchTimeout = 30 * time.Second

	unlockTimeout = 2 * time.Second
)

// sweepUntil removes expired rows again and again until ctx ends.
func (b *sqlBackend) sweepUntil(ctx context.Context) {
	// Processes that started together come at different times.
	timer := time.NewTimer(rand.N(sweepEvery)) // #nosec G404 -- it spreads the load and keeps no secret
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		n, err := b.RemoveBatch(ctx)
		if n == batch && err == nil {
			// There may be more. Requests get at least half of the database's time.
			timer.Reset(time.Since(began))
			continue
		}
		// What the database cannot do now, it is asked for again. Requests meet the
		// same failure, and report it.
		timer.Reset(sweepEvery)
	}
}

// RemoveBatch removes some of the rows that expired longer than [store.Retention]
// ago, and returns how many it found. The clock of the server has to agree: a process
// whose own clock is ahead must not remove what lives by those of all others.
func (b *sqlBackend) RemoveBatch(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	now, err := b.Now(ctx, "")
	if err != nil {
		return 0, err
	}
	limit := min(now.UnixMilli(), time.Now().UnixMilli()) - store.Retention.Milliseconds()
	if b.dialect == MySQL {
		return b.sweepMySQL(ctx, limit)
	}
	return b.write(ctx, b.sweep, limit)
}

// sweepMySQL finds rows without a lock and deletes them by their primary keys. A
// DELETE of a range locks the index of the times before the rows, and the gaps
// between them: requests that lock in the other order would run into deadlocks.
// Meanwhile a row may have been given a later time.
//
// It needs one connection, so that it works where the pool has no second.
func (b *sqlBackend) sweepMySQL(ctx context.Context, limit int64) (int64, error) {
	conn, err := b.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // it only goes back to the pool

	// One process at a time: others that came now would find the same rows. Percona XtraDB
	// Cluster refuses locks by default. Without one, a row may be found by several.
	var mine bool
	err = conn.QueryRowContext(ctx, b.texts.lock).Scan(&mine)
	switch {
	case mine:
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
			defer cancel()
			_, _ = conn.ExecContext(ctx, b.texts.unlock) // a connection that fails has lost it
		}()
	case err == nil:
		return 0, nil
	}

	ids, err := idsOf(conn.QueryContext(ctx, b.texts.sweep, limit))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	_, err = conn.ExecContext(ctx, b.dialect.withIDs(b.texts.sweepMany, 1, len(ids)), append([]any{limit}, anys(ids)...)...)
	return int64(len(ids)), err
}

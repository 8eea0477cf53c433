package sqlstore

import (
	"context"

	"github.com/gin-sessionkit/sessionkit/store"
)

// RemoveBatch is what the removal of expired rows does once a minute.
func RemoveBatch(ctx context.Context, b store.Backend) (int64, error) {
	return b.(*sqlBackend).removeBatch(ctx)
}

// Batch is how many rows it removes.
const Batch = batch

// Statements returns the texts that a backend runs, by what they do.
func Statements(b store.Backend) map[string]string {
	s := b.(*sqlBackend).texts
	texts := map[string]string{
		"load": s.load, "load many": s.loadMany, "change": s.change, "change if": s.changeIf, "touch": s.touch, "rotate": s.rotate,
		"end": s.end, "remove": s.remove, "list": s.list, "sweep": s.sweep,
	}
	d := b.(*sqlBackend).dialect
	texts["end three"] = d.withIDs(s.endMany, 3, 3)
	if d == MySQL {
		texts["lock three"] = d.withIDs(s.lockMany, 1, 3)
		texts["remove three"] = removeAll(s.remove, 3)
	}
	return texts
}

// CheckVersion judges a version of SQLite.
var CheckVersion = checkVersion

// SQLiteDSN is what OpenSQLite makes of a path.
var SQLiteDSN = sqliteDSN

// Compose, Document, Shield and Unshield are how values stand in the database.
var (
	Compose  = compose
	Shield   = shield
	Unshield = unshield
)

// Document is the column of the values.
type Document = document

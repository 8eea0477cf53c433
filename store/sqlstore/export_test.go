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
		"load": s.load, "update": s.update, "touch": s.touch, "rotate": s.rotate,
		"remove": s.remove, "list": s.list, "sweep": s.sweep,
	}
	if b.(*sqlBackend).dialect == MySQL {
		texts["remove three"] = removeAll(s.remove, 3)
	}
	return texts
}

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

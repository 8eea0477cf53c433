package sqlstore

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

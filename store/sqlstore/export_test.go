package sqlstore

// CheckVersion judges a version of SQLite.
var CheckVersion = checkVersion

// SQLiteDSN is what OpenSQLite makes of a path.
var SQLiteDSN = sqliteDSN

// Undone reports whether a statement is run again after an error.
var Undone = undone

// Compose, Document, Shield and Unshield are how values stand in the database.
var (
	Compose  = compose
	Shield   = shield
	Unshield = unshield
)

// Document is the column of the values.
type Document = document

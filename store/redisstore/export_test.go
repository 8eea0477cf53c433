package redisstore

// DecodeHash and Fields are how a session stands in its hash.
var (
	DecodeHash = decodeHash
	Fields     = fields
)

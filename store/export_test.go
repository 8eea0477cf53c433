package store

// Moving is what package sessionkit gets of a session that has yet to move.
type Moving = moving

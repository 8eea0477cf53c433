// Package ownstores holds tests and no code: what must hold over every store of this
// module, with two processes' stores on one medium. Its files are named after what
// they prove.
//
// SESSIONKIT_TESTS=longest runs each race as often as a thorough run does.
package ownstores

// Package reliability holds tests and no code: what an application goes through
// when the server of its sessions fails, or when it runs as several processes.
// They use the middleware over HTTP, and real servers that they start, kill and stop.
//
// A load of clients knows what each of them was told: what was acknowledged must
// be there, what got no answer may be there or not, what was ended must never come
// back.
//
// By default the tests take a fraction of the time that a thorough run takes.
// SESSIONKIT_TESTS=longest gives each fault its full length, and RELIABILITY_STRESS=10m
// sets how long the random operations go on for each store.
package reliability

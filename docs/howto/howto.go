// Package howto is the code of docs/howto.md, a file for each of its sections: copy
// what you use.
package howto

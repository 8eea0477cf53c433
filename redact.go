package sessionkit

import "fmt"

// What a program gets hold of in a request leads to the session's secret and to
// Config.Secrets. A log line of sessions.Default(c), c.Writer or c.Keys must not
// show them, whatever the verb.

const redacted = "sessionkit: not shown"

// Format implements [fmt.Formatter].
func (q *request) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// Format implements [fmt.Formatter].
func (g *ginSession) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// Format implements [fmt.Formatter].
func (w *writer) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

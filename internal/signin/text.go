package signin

import (
	"strconv"
	"strings"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// A sign-in is read and written with every sign-in, renewal and recorded use. What is in
// this file does that for the texts that this package itself writes, a tenth as slowly as
// encoding/json, whose names and order of fields it keeps to. It leaves all other texts to
// encoding/json.

// plainText is [SignIn.Text], if all strings stand in JSON as they are.
func (s SignIn) plainText() (text string, ok bool) {
	for _, part := range [...]string{s.UserAgent, s.IP, s.Line, s.Epoch, s.Mark} {
		if !value.Plain(part) || has(part, '<') || has(part, '>') || has(part, '&') { // which encoding/json escapes
			return "", false
		}
	}
	var room [512]byte
	b := append(room[:0], `["json",{`...)
	b, ok = appendTime(b, "at", s.At)
	if ok && !s.Confirmed.IsZero() {
		b, ok = appendTime(b, "confirmed", s.Confirmed)
	}
	if ok && !s.Ends.IsZero() {
		b, ok = appendTime(b, "ends", s.Ends)
	}
	if !ok {
		return "", false
	}
	b = appendYes(b, "remembered", s.Remembered)
	b = appendYes(b, "values", s.Values)
	if s.UserAgent != "" {
		b = appendString(b, "user_agent", s.UserAgent)
	}
	if s.IP != "" {
		b = appendString(b, "ip", s.IP)
	}
	b = appendNumber(b, "idle", int64(s.Idle))
	b = appendNumber(b, "lifetime", int64(s.Lifetime))
	b = appendString(b, "line", s.Line)
	if s.Epoch != "" {
		b = appendString(b, "epoch", s.Epoch)
	}
	if s.Mark != "" {
		b = appendString(b, "mark", s.Mark)
	}
	b = appendYes(b, "may_be_bound", s.MayBeBound)
	b = appendNumber(b, "turn", s.Turn)
	return string(append(b, "}]"...)), true
}

func has(text string, c byte) bool { return strings.IndexByte(text, c) >= 0 }

// The functions that follow append a field.

func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), `":`...)
}

func appendTime(b []byte, name string, t time.Time) (_ []byte, ok bool) {
	b, err := t.AppendText(append(appendName(b, name), '"'))
	return append(b, '"'), err == nil
}

func appendYes(b []byte, name string, yes bool) []byte {
	if !yes {
		return b
	}
	return append(appendName(b, name), "true"...)
}

func appendString(b []byte, name, text string) []byte {
	return append(append(append(appendName(b, name), '"'), text...), '"')
}

func appendNumber(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(appendName(b, name), n, 10)
}

// plainOf reads a text that plainText has returned.
func plainOf(text string) (s SignIn, ok bool) {
	j, ok := value.CutJSON(text)
	if !ok || j == "" || j[0] != '{' {
		return SignIn{}, false
	}
	r := reader{rest: j[1:], ok: true}
	r.time("at", &s.At)
	r.time("confirmed", &s.Confirmed)
	r.time("ends", &s.Ends)
	r.yes("remembered", &s.Remembered)
	r.yes("values", &s.Values)
	r.text("user_agent", &s.UserAgent)
	r.text("ip", &s.IP)
	r.number("idle", (*int64)(&s.Idle))
	r.number("lifetime", (*int64)(&s.Lifetime))
	r.text("line", &s.Line)
	r.text("epoch", &s.Epoch)
	r.text("mark", &s.Mark)
	r.yes("may_be_bound", &s.MayBeBound)
	r.number("turn", &s.Turn)
	if !r.ok || !r.any || r.rest != "}" {
		return SignIn{}, false
	}
	return s, true
}

type reader struct {
	rest    string
	any, ok bool
}

// name reports whether the next field has a name, and passes over that.
func (r *reader) name(name string) bool {
	rest := r.rest
	if r.any {
		var found bool
		if rest, found = strings.CutPrefix(rest, ","); !found {
			return false
		}
	}
	const quotes = `"":`
	n := len(name)
	if len(rest) < n+len(quotes) || rest[0] != '"' || rest[1:n+1] != name || rest[n+1:n+3] != `":` {
		return false
	}
	r.rest, r.any = rest[n+len(quotes):], true
	return true
}

// quoted returns the string that comes next.
func (r *reader) quoted() string {
	rest, found := strings.CutPrefix(r.rest, `"`)
	s, rest, ends := strings.Cut(rest, `"`)
	r.rest, r.ok = rest, r.ok && found && ends && value.Plain(s)
	return s
}

func (r *reader) time(name string, t *time.Time) {
	if r.name(name) {
		err := t.UnmarshalText([]byte(r.quoted()))
		r.ok = r.ok && err == nil
	}
}

func (r *reader) yes(name string, yes *bool) {
	if r.name(name) {
		r.rest, *yes = strings.CutPrefix(r.rest, "true")
		r.ok = r.ok && *yes
	}
}

func (r *reader) text(name string, text *string) {
	if r.name(name) {
		*text = r.quoted()
	}
}

func (r *reader) number(name string, n *int64) {
	if !r.name(name) {
		return
	}
	end := strings.IndexAny(r.rest, ",}")
	if end < 1 {
		r.ok = false
		return
	}
	var err error
	digits := r.rest[:end]
	*n, err = strconv.ParseInt(digits, 10, 64)
	r.rest, r.ok = r.rest[end:], r.ok && err == nil && strconv.FormatInt(*n, 10) == digits
}

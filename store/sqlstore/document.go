package sqlstore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A document is the column of the values: a JSON object of them by name. It is
// scanned into texts that share the memory of the whole.
type document map[string]string

// compose returns the JSON object of the values in set, and null for each name in
// drop that set has not: as a patch of RFC 7396 it puts the one and drops the
// other.
func compose(set map[string]string, drop []string) string {
	var b strings.Builder
	b.WriteByte('{')
	add := func(name, text string) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(quote(name))
		b.WriteByte(':')
		b.WriteString(text)
	}
	for name, text := range set {
		add(name, shield(text))
	}
	for _, name := range drop {
		if _, ok := set[name]; !ok {
			add(name, "null")
		}
	}
	b.WriteByte('}')
	return b.String()
}

// quote returns a name as it is spelled in a document and in a path that leads to
// its value: MariaDB (10.11) finds the value only if both are spelled the same. A
// "-" at the beginning is escaped, because it is a syntax error in MariaDB's paths.
func quote(name string) string {
	quoted := value.EncodeString(name) // a name is UTF-8 without NUL: a string of JSON holds it
	if rest, ok := strings.CutPrefix(quoted, `"-`); ok {
		return `"\u002d` + rest
	}
	return quoted
}

var errNotDocument = fmt.Errorf("the values are no JSON object: %w", store.ErrCorrupt)

// Scan implements [database/sql.Scanner]. It finds where the values begin and
// end. Whether each is valid is seen where it is used, so that one bad value does
// not take the others with it.
func (d *document) Scan(src any) error {
	var s string
	switch src := src.(type) {
	case string:
		s = src
	case []byte:
		s = string(src)
	default:
		return errNotDocument
	}
	*d = nil
	rest, ok := strings.CutPrefix(trim(s), "{")
	if rest = trim(rest); ok && rest == "}" {
		return nil
	}
	values := make(document, 8)
	for ok {
		var name, text string
		if name, text, rest, ok = cutMember(rest); !ok {
			break
		}
		values[name] = unshield(text)
		if rest == "}" {
			*d = values
			return nil
		}
		rest, ok = strings.CutPrefix(rest, ",")
		rest = trim(rest)
	}
	return errNotDocument
}

// trim removes what JSON allows between tokens. Most often there is nothing.
func trim(s string) string {
	if s != "" && s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, " \t\r\n")
}

// cutMember returns the name and the value that s begins with, and the rest.
func cutMember(s string) (name, text, rest string, ok bool) {
	n := stringEnd(s)
	if n < 0 {
		return "", "", s, false
	}
	name = s[1 : n-1]
	if strings.IndexByte(name, '\\') >= 0 && json.Unmarshal([]byte(s[:n]), &name) != nil {
		return "", "", s, false
	}
	if rest, ok = strings.CutPrefix(trim(s[n:]), ":"); !ok {
		return "", "", s, false
	}
	rest = trim(rest)
	if n = valueEnd(rest); n <= 0 {
		return "", "", s, false
	}
	return name, rest[:n], trim(rest[n:]), true
}

// stringEnd returns where the string ends that s begins with, or -1.
func stringEnd(s string) int {
	if s == "" || s[0] != '"' {
		return -1
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// valueEnd returns where the value ends that s begins with, or -1.
func valueEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := stringEnd(s[i:])
			if n < 0 {
				return -1
			}
			if i += n - 1; depth == 0 {
				return i + 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// shieldTag marks a value that stands in the database as one string, because the
// database would change or refuse it otherwise.
const shieldTag = `"raw"`

// maxDepth is how deep values may be nested; MariaDB takes 32 with what is around.
const maxDepth = 24

// shield returns the text under which a value is stored: itself, unless a
// database would alter it. MySQL keeps numbers as integers of 64 bits or as
// float64; PostgreSQL has no -0 and no half of a surrogate pair.
func shield(text string) string {
	if keeps(text) {
		return text
	}
	quoted, _ := value.Encode(text)
	return "[" + shieldTag + "," + quoted + "]"
}

// unshield is the inverse of [shield]. It leaves alone what shield never returns.
func unshield(text string) string {
	rest, ok := strings.CutPrefix(text, "["+shieldTag)
	if !ok {
		return text
	}
	rest, ok = strings.CutPrefix(trim(rest), ",")
	rest, closed := strings.CutSuffix(rest, "]")
	var inner string
	if ok && closed && json.Unmarshal([]byte(rest), &inner) == nil && json.Valid([]byte(inner)) {
		return inner
	}
	return text
}

// keeps reports whether every database returns the value as it was, give or take
// spaces, the order of an object's keys, and zeros at the end of a fraction.
func keeps(text string) bool {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasPrefix(trim(inner), shieldTag) {
		return false // it would be taken for a shielded one
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			n := stringEnd(text[i:])
			if n < 0 || strings.Contains(text[i:i+n], `\ud`) || strings.Contains(text[i:i+n], `\uD`) {
				return false
			}
			i += n - 1
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return false
			}
		case c == ']' || c == '}':
			depth--
		case c == '-' || '0' <= c && c <= '9':
			n := len(text[i:]) - len(strings.TrimLeft(text[i:], "+-.0123456789Ee"))
			if !keepsNumber(text[i : i+n]) {
				return false
			}
			i += n - 1
		}
	}
	return true
}

// keepsNumber reports whether a number is an int64, or a fraction that a float64
// holds to the last digit.
func keepsNumber(text string) bool {
	if strings.Trim(text, "-0.") == "" && text[0] == '-' {
		return false
	}
	if !strings.ContainsAny(text, ".eE") {
		_, err := strconv.ParseInt(text, 10, 64)
		return err == nil
	}
	const digits = 15 // of a decimal that survives the way through a float64
	return len(text) <= digits+1 && !strings.ContainsAny(text, "eE")
}

// millis is a column that holds a time in Unix milliseconds.
type millis int64

var errNotTime = fmt.Errorf("a time is no integer: %w", store.ErrCorrupt)

// Scan implements [database/sql.Scanner].
func (m *millis) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return errNotTime
	}
	*m = millis(n)
	return nil
}

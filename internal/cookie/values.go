package cookie

import (
	"iter"
	"strings"
)

// MaxTried bounds the cookies of one name that are tried: sibling domains and longer
// paths may have put theirs before the right one.
const MaxTried = 4

// Values yields the values of the cookies of one name, in the order in
// which they came. It reads the header without building a list of cookies.
func Values(lines []string, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for more := true; more; {
				var pair string
				pair, line, more = strings.Cut(line, ";")
				value, ok := strings.CutPrefix(trimLeft(pair), name)
				if !ok {
					continue
				}
				if value, ok = strings.CutPrefix(trimLeft(value), "="); !ok {
					continue
				}
				if !yield(unquote(trimRight(trimLeft(value)))) {
					return
				}
			}
		}
	}
}

// trimLeft and trimRight take away blanks as [strings.Trim] does, which costs more
// where there is none.
func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

func trimRight(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// unquote drops the quotes that RFC 6265 allows around a value.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

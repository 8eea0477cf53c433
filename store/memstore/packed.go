package memstore

import (
	"encoding/binary"
	"strings"

	"github.com/gin-sessionkit/sessionkit/internal/value"
)

// packed is the values of a session in one text: the length of each name and each text in
// turn, and these. That is what a session that nobody uses is kept as, as a map of few
// values takes several times as much memory, and holds up the garbage collector. The
// first request that uses the session makes the map, and the sweep packs it again.
type packed string

// packValues returns the values less drop, overlaid with set.
func packValues(values, set map[string]string, drop []string) packed {
	if len(drop) > 0 {
		values = value.Apply(values, nil, drop)
	}
	var room [1024]byte // as much as most sessions need
	b := room[:0]
	for name, text := range values {
		if _, replaced := set[name]; !replaced {
			b = appendPair(b, name, text)
		}
	}
	for name, text := range set {
		b = appendPair(b, name, text)
	}
	return packed(b)
}

func appendPair(b []byte, name, text string) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// sharedUpTo is how long a packed text may be for values to be parts of it, and not
// copies: the smallest part that is still used keeps all of it in memory.
const sharedUpTo = 4 << 10

// unpack returns the values.
func (p packed) unpack() map[string]string {
	if p == "" {
		return nil
	}
	share := len(p) <= sharedUpTo
	values := make(map[string]string, p.count())
	for rest := string(p); rest != ""; {
		var name, text string
		name, rest = cutText(rest)
		text, rest = cutText(rest)
		if !share {
			name, text = strings.Clone(name), strings.Clone(text)
		}
		values[name] = text
	}
	return values
}

func (p packed) count() (n int) {
	for rest := string(p); rest != ""; n++ {
		_, rest = cutText(rest)
		_, rest = cutText(rest)
	}
	return n
}

// cutText returns the first text of what appendPair has written, and the rest.
func cutText(s string) (text, rest string) {
	n, shift := 0, 0
	for i := range len(s) {
		n |= int(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return s[i+1 : i+1+n], s[i+1+n:]
		}
		shift += 7
	}
	return "", ""
}

// get returns one of the values, "" if it is not there.
func (p packed) get(name string) string {
	for rest := string(p); rest != ""; {
		var found, text string
		found, rest = cutText(rest)
		text, rest = cutText(rest)
		if found == name {
			return text
		}
	}
	return ""
}

package value

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// What is in this file takes a text apart, and puts it together, without parsing it.
// It is for callers who know the type.

// Tagged returns the text that has a tag, and a payload that stands in JSON as it is:
// see [Plain].
func Tagged(tag, payload string) string { return `["` + tag + `","` + payload + `"]` }

// AppendTag appends what is before the payload in the text that [Tagged] returns, and
// EndTagged what is behind it.
func AppendTag(b []byte, tag string) []byte {
	return append(append(append(b, `["`...), tag...), `","`...)
}

// EndTagged is described by [AppendTag].
func EndTagged(b []byte) []byte { return append(b, `"]`...) }

// Payload cuts the payload out of a text that [Tagged] has returned, also if a database
// has put a space behind the comma. ok is false for every other text, which [Decode]
// may still understand.
func Payload(text, tag string) (payload string, ok bool) {
	const begins, comma, spaced, ends = `["`, `","`, `", "`, `"]`
	n := len(begins) + len(tag)
	if len(text) < n || text[:len(begins)] != begins || text[len(begins):n] != tag {
		return "", false
	}
	rest := text[n:]
	switch {
	case strings.HasPrefix(rest, comma):
		rest = rest[len(comma):]
	case strings.HasPrefix(rest, spaced):
		rest = rest[len(spaced):]
	default:
		return "", false
	}
	payload, ok = strings.CutSuffix(rest, ends)
	if !ok || !Plain(payload) {
		return "", false
	}
	return payload, true
}

const jsonBegins = `["json",`

// CutJSON cuts the JSON of a [JSON] value out of its text. What it returns need not be
// valid. ok is false for texts in another form, which [Decode] may still understand.
func CutJSON(text string) (j string, ok bool) {
	if !strings.HasPrefix(text, jsonBegins) || text[len(text)-1] != ']' {
		return "", false
	}
	return text[len(jsonBegins) : len(text)-1], true
}

// EncodeValid returns the text of JSON that is valid, and not nested too deeply to be
// read back.
func EncodeValid(j []byte) string {
	if bytes.Contains(j, []byte(`\u0000`)) || !utf8.Valid(j) {
		return inBase64("json64", j)
	}
	return jsonBegins + string(j) + "]"
}

// Plain reports whether s stands in JSON as it is.
func Plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Respelled reports whether a stored text may be another spelling of text, which is as this
// package writes it. A database puts a space behind the tag and leaves out escapes. Another
// program has a tag of its own, and so may have an earlier version.
func Respelled(stored, text string) bool {
	if text[0] != '[' {
		return strings.HasPrefix(stored, "[") || strings.Contains(text, `\u`)
	}
	rest, ok := strings.CutPrefix(stored, text[:strings.IndexByte(text, ',')+1])
	return !ok || strings.HasPrefix(rest, " ")
}

// Bool reads the text of a bool.
func Bool(text string) (b, ok bool) {
	return text == "true", text == "true" || text == "false"
}

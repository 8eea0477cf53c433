package express

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Secrets are the keys by which cookie-parser and express-session sign cookies: the
// first one signs, all of them verify. To rotate, first add a new one behind the others
// in all processes, then move it to the front.
//
// Sign and Unsign are for cookies of the application's own, with SetCookie and
// GetCookie of package sessionkit:
//
//	err := sessionkit.SetCookie(c, "theme", secrets.Sign("dark")) // res.cookie('theme', 'dark', { signed: true })
//
//	text, err := sessionkit.GetCookie(c, "theme")
//	theme, ok := secrets.Unsign(text) // req.signedCookies.theme
type Secrets [][]byte

// Sign returns a cookie's value as res.cookie(name, value, {signed: true}) has it
// before it is percent-encoded. It panics if there is no secret.
//
// The signature covers the value alone: it holds under another name, and forever.
func (s Secrets) Sign(value string) string {
	if len(s) == 0 {
		panic("express: Sign needs a secret")
	}
	return "s:" + value + "." + signature(s[0], value)
}

// Unsign returns the value of a signed cookie. ok is false if it is not signed with
// one of the secrets.
func (s Secrets) Unsign(text string) (value string, ok bool) {
	signed, ok := strings.CutPrefix(text, "s:")
	dot := strings.LastIndexByte(signed, '.')
	if !ok || dot < 0 {
		return "", false
	}
	value, given := signed[:dot], signed[dot+1:]
	for _, secret := range s {
		if hmac.Equal([]byte(signature(secret, value)), []byte(given)) {
			return value, true
		}
	}
	return "", false
}

func signature(secret []byte, value string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(value))
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil))
}

// Format implements [fmt.Formatter], so that no verb prints the secrets.
func (s Secrets) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "express.Secrets: %d, not shown", len(s))
}

// LogValue implements [slog.LogValuer], so that no log shows the secrets.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON implements [json.Marshaler], so that no dump shows the secrets.
func (s Secrets) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(s)) }

// EncodeJSON returns the value of a cookie as res.cookie(name, object) has it before
// it is percent-encoded. To sign it as well, pass it to [Secrets.Sign].
func EncodeJSON(v any) (string, error) {
	text, err := marshal(v)
	return "j:" + text, err
}

// DecodeJSON reads what [EncodeJSON] or Express has encoded into the value that v
// points to.
func DecodeJSON(text string, v any) error {
	raw, ok := strings.CutPrefix(text, "j:")
	if !ok {
		return errors.New("express: the cookie does not hold JSON")
	}
	if err := json.Unmarshal([]byte(raw), v); err != nil {
		return fmt.Errorf("express: the cookie does not hold the JSON of a %T: %w", v, err)
	}
	return nil
}

// marshal is [json.Marshal] without the escapes that JavaScript does not write.
func marshal(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// maxCookie is the longest cookie that is looked at: what browsers keep at most
// (RFC 6265bis section 5.6).
const maxCookie = 4096

// seal returns the session cookie of a session ID.
func (s Secrets) seal(sid string) string { return encodeURIComponent(s.Sign(sid)) }

// open returns the session ID that a session cookie holds. Node accepts one that is
// not percent-encoded, too.
func (s Secrets) open(cookie string) (sid string, ok bool) {
	if len(cookie) > maxCookie {
		return "", false
	}
	text, err := url.PathUnescape(cookie)
	if err != nil {
		text = cookie
	}
	sid, ok = s.Unsign(text)
	return sid, ok && isID(sid)
}

// sealText returns the text of a value as it stands in a document under a name.
func (s Secrets) sealText(name, text string) string {
	return text + "." + textSignature(s[0], name, text)
}

// openText is the inverse of [Secrets.sealText]. ok is false for what it has not
// returned for this name.
func (s Secrets) openText(name, sealed string) (text string, ok bool) {
	dot := strings.LastIndexByte(sealed, '.')
	if dot < 0 {
		return "", false
	}
	text, given := sealed[:dot], sealed[dot+1:]
	for _, secret := range s {
		if hmac.Equal([]byte(textSignature(secret, name, text)), []byte(given)) {
			return text, true
		}
	}
	return "", false
}

// textSignature has another hash than [signature], of which a client gets any that it
// likes if the application signs a cookie of its choice. No name has a NUL.
func textSignature(secret []byte, name, text string) string {
	mac := hmac.New(sha512.New512_256, secret)
	mac.Write([]byte(name + "\x00" + text))
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil))
}

// encodeURIComponent is JavaScript's.
func encodeURIComponent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

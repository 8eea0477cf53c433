package express

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// A document is a session as express-session keeps it: an object with a member cookie
// and the values as further members.
type document struct {
	members map[string]json.RawMessage
	cookie  cookieMember
	own     ownMember
}

const (
	cookieName = "cookie"

	// ownName is the member in which this side keeps what a session of Node does not
	// say.
	ownName = value.OwnPrefix + "session"

	// textName is the only member of an object that stands for a value which JSON has
	// no form for. It is the value's text, sealed by [Secrets.sealText]: what Node or
	// a client has made is JSON, whatever it looks like.
	textName = value.OwnPrefix + "text"

	// lifeName is the name of a value that is not stored: how long the session lives
	// after its last use, and its cookie, as the document says, in the form of
	// [value.MaxAge].
	lifeName = value.OwnPrefix + "life"

	// documentName is the name of another: the document as it was loaded.
	documentName = value.OwnPrefix + "document"
)

// isStored reports whether a value of sessionkit's own stands in the document as such.
func isStored(name string) bool { return name != lifeName && name != documentName }

// cookieMember is what express-session keeps of the cookie, in its order.
type cookieMember struct {
	OriginalMaxAge *int64  `json:"originalMaxAge"`
	Partitioned    bool    `json:"partitioned,omitempty"`
	Priority       string  `json:"priority,omitempty"`
	Expires        *string `json:"expires"`
	Secure         bool    `json:"secure,omitempty"`
	HTTPOnly       bool    `json:"httpOnly"`
	Domain         string  `json:"domain,omitempty"`
	Path           string  `json:"path"`
	SameSite       string  `json:"sameSite,omitempty"`
}

// ownMember is the value of ownName.
type ownMember struct {
	User    string    `json:"user,omitempty"` // who has signed in on this side
	ID      string    `json:"id,omitempty"`   // public, of the session in which they have; "": it was not noted
	Created time.Time `json:"created,omitzero"`

	// copied means that it was in another session, the values of which Node has copied.
	copied bool
}

// maxDepth bounds how deep a document is nested.
const maxDepth = 1000

// parse reads a document. The error is [store.ErrCorrupt].
func parse(text []byte) (document, error) {
	var d document
	if tooDeep(text) || json.Unmarshal(text, &d.members) != nil || d.members == nil {
		return document{}, fmt.Errorf("%w: it is not a JSON object", store.ErrCorrupt)
	}
	cookie := d.members[cookieName]
	if !bytes.HasPrefix(cookie, []byte("{")) {
		return document{}, fmt.Errorf("%w: it has no object %q", store.ErrCorrupt, cookieName)
	}
	var age struct{ OriginalMaxAge json.RawMessage }
	_ = json.Unmarshal(cookie, &age) // its other members may be anything
	if ms, err := strconv.ParseFloat(string(age.OriginalMaxAge), 64); err == nil && ms >= 1 && ms < float64(math.MaxInt64/time.Millisecond) {
		whole := int64(ms)
		d.cookie.OriginalMaxAge = &whole
	}
	_ = json.Unmarshal(d.members[ownName], &d.own) // without it the session is Node's
	return d, nil
}

// tooDeep reports whether a JSON text is nested deeper than maxDepth.
func tooDeep[T []byte | string](text T) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// isPersistent reports whether the cookie outlives the browser. Node says that it does not
// by req.session.cookie.expires = false or null, whatever its configuration has.
func (d document) isPersistent() bool { return d.cookie.OriginalMaxAge != nil }

// life returns how long the session lives after its last use.
func (d document) life(c Config) time.Duration {
	if d.cookie.OriginalMaxAge != nil {
		return ceil(time.Duration(*d.cookie.OriginalMaxAge) * time.Millisecond)
	}
	return ceil(c.TTL)
}

// record returns the session. It ends when the store removes it, left from now, and was
// last used when that was last put off.
func (d document) record(c Config, left time.Duration) store.Record {
	now := time.Now()
	life := d.life(c)
	if left < 0 || left > life { // it has no end; or was given a longer life once
		left = life
	}
	r := store.Record{Expires: now.Add(left), Seen: now.Add(left - life), Created: d.own.Created, Values: d.texts(c)}
	if r.Created.IsZero() {
		r.Created = r.Seen
	}
	r.User = d.own.User
	if c.User.Name != "" {
		r.User = c.User.read(string(d.members[c.User.Name]))
	}
	if !signin.IsUser(r.User) {
		r.User = ""
	}
	age := int(life / time.Second)
	if !d.isPersistent() {
		age = -age
		delete(r.Values, value.MaxAge) // Node has said so since
	}
	r.Values[lifeName] = value.EncodeInt(age)
	in := signin.Of(r.Values)
	own := r.User != "" && r.User == d.own.User && !d.isStale(c, r.User) && !in.Shown().IsZero()
	if own && !in.Values { // by Login of this side
		if in.Shown().Sub(r.Seen) > late {
			// Node has given it less time than its cookie says. It was used since then, and only
			// Node knows when.
			r.Seen = later(in.Shown(), now.Add(-late))
		}
		if !in.Ends.IsZero() && in.Ends.Before(r.Expires) {
			r.Expires = in.Ends
		}
		return r
	}
	if !own {
		in = signin.SignIn{}
	}
	if in.Values = true; r.User != "" {
		r.Values[signin.Name] = in.Text()
	} else {
		delete(r.Values, signin.Name)
	}
	if _, set := r.Values[value.MaxAge]; !set && (life != c.life() || d.isPersistent() != (c.Cookie.MaxAge > 0)) {
		r.Values[value.MaxAge] = r.Values[lifeName]
	}
	return r
}

// isStale reports whether the sign-in that this side has noted is over by what Node has
// done: user is who is signed in now. Without Config.User, Node signs nobody in.
func (d document) isStale(c Config, user string) bool {
	return c.User.Name != "" && d.own.User != "" && (d.own.User != user || d.own.copied)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// texts returns the values, each as its text.
func (d document) texts(c Config) map[string]string {
	texts := make(map[string]string, len(d.members))
	for name, raw := range d.members {
		if name == ownName || !isStored(name) || !isName(name) {
			continue
		}
		texts[name] = c.textOf(name, raw)
	}
	return texts
}

// textOf returns the text of a member.
func (c Config) textOf(name string, raw []byte) string {
	if strings.HasPrefix(name, value.OwnPrefix) && !value.IsGob(string(raw)) {
		return string(raw)
	}
	var object map[string]string
	if bytes.HasPrefix(raw, []byte(`{"`+textName)) && json.Unmarshal(raw, &object) == nil && len(object) == 1 {
		if text, ok := c.Secrets.openText(name, object[textName]); ok {
			return text
		}
	}
	return value.EncodeJS(string(raw))
}

// isName reports whether a member is one of the values: Node does not see a member
// whose name is lost, and gin-contrib/sessions must find it under the same key again.
func isName(name string) bool {
	if isLost(name) {
		return false
	}
	if strings.HasPrefix(name, value.OwnPrefix) {
		return true
	}
	if text, ok := strings.CutPrefix(name, value.KeyPrefix); ok && value.IsGob(text) {
		return false // nothing tells whether this side has written it
	}
	key, err := value.Key(name)
	if err != nil {
		return false
	}
	again, err := value.Name(key)
	return err == nil && again == name
}

// lost are the names of what exists on a session of express-session: it does not read
// a value of such a name, and drops it with the next change.
var lost = []string{
	"id", "req", cookieName, // of the session
	"touch", "resetMaxAge", "save", "reload", "destroy", "regenerate", // of Session.prototype
	"constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
	"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", // of Object.prototype
}

func isLost(name string) bool { return slices.Contains(lost, name) }

// memberOf returns what stands in the document for the text of a value.
func (c Config) memberOf(name, text string) (string, error) {
	if isLost(name) {
		return "", errors.New("every session of express-session has a property of this name, so Node would lose it; choose another name")
	}
	if !isName(name) {
		return "", errors.New("this name cannot be kept")
	}
	raw := text
	if strings.HasPrefix(name, value.OwnPrefix) {
		if rounds(text) { // Node writes these as well
			return "", errRounded
		}
	} else {
		var err error
		if raw, err = c.rawOfText(name, text); err != nil {
			return "", err
		}
	}
	if tooDeep("[" + raw) {
		return "", fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	return raw, nil
}

// rawOfText returns the JSON that Node sees of a text.
func (c Config) rawOfText(name, text string) (string, error) {
	if raw, ok := value.JS(text); ok {
		return raw, nil
	}
	if !value.IsGob(text) {
		v, err := value.Decode(text)
		if err != nil {
			return "", err
		}
		if raw, err := rawOf(v); !errors.Is(err, errNoForm) {
			return raw, err
		}
	}
	return marshal(map[string]string{textName: c.Secrets.sealText(name, text)})
}

// errNoForm is the error of a value that JSON has no form for.
var errNoForm = errors.New("JSON has no form for it")

var errRounded = errors.New("JavaScript rounds this number, an integer beyond 2^53 or one of too many digits: use a string, or the tag `json:\",string\"` in a struct")

// rawOf returns the JSON of a value that sessions.Default(c) has, also with errRounded.
func rawOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case value.JSON:
		if !utf8.ValidString(string(v)) {
			return "", errNoForm
		}
		if rounds(string(v)) {
			return string(v), errRounded
		}
		return string(v), nil
	case string:
		if !utf8.ValidString(v) {
			return "", errNoForm
		}
		return marshal(v)
	case bool:
		return marshal(v)
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, uintptr:
		raw := fmt.Sprint(v)
		if rounds(raw) {
			return raw, errRounded
		}
		return raw, nil
	case float32, float64:
		raw, err := marshal(v)
		if err != nil { // it is no number, or infinite
			return "", errNoForm
		}
		return raw, nil
	case time.Time: // as new Date().toJSON(), but for its digits
		return marshal(v)
	}
	return "", errNoForm
}

// rounds reports whether a JSON text holds a number that JavaScript writes as another one,
// or an integer that it writes with an exponent.
func rounds(raw string) bool {
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if n, ok := token.(json.Number); ok && !stays(n.String()) {
			return true
		}
	}
}

// stays reports whether a number is the same after JavaScript has read and written it: that
// writes the shortest text that is nearest to the float64. Other digits may say the same.
func stays(n string) bool {
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return false // it is null then
	}
	if math.Abs(f) >= 1e21 && !strings.ContainsAny(n, ".eE") {
		return false
	}
	return decimalOf(n) == decimalOf(strconv.FormatFloat(f, 'e', -1, 64))
}

// A decimal is digits, without zeros at either end, times a power of ten. Zero has none.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func decimalOf(n string) decimal {
	n, negative := strings.CutPrefix(n, "-")
	exponent := 0
	if i := strings.IndexAny(n, "eE"); i >= 0 {
		exponent, _ = strconv.Atoi(n[i+1:]) // beyond an int it is the largest: no float64 comes near
		n = n[:i]
	}
	whole, fraction, _ := strings.Cut(n, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return decimal{}
	}
	return decimal{negative, short, exponent - len(fraction) + len(digits) - len(short)}
}

// newCookie returns the member cookie of a record.
func (c Config) newCookie(r store.Record, https bool) cookieMember {
	m := cookieMember{
		Partitioned: c.Cookie.Partitioned, Priority: c.Cookie.Priority, HTTPOnly: !c.Cookie.ScriptReadable,
		Domain: c.Cookie.Domain, Path: c.Cookie.Path, SameSite: sameSite(c.Cookie.SameSite),
		Secure: c.Cookie.secure(https),
	}
	if age := c.ageOf(r); age > 0 {
		ms, expires := age.Milliseconds(), time.Now().Add(age).UTC().Format("2006-01-02T15:04:05.000Z")
		m.OriginalMaxAge, m.Expires = &ms, &expires
	}
	return m
}

// closes reports whether the text of [value.MaxAge] says that the cookie ends with the
// browser.
func closes(maxAge string) bool { return strings.HasPrefix(maxAge, "-") }

// late is how much later the use of a session may be recorded.
const late = time.Minute

// ageOf returns the maxAge of a record's cookie, 0 if it has none: its own, or that of
// the configuration, unless a sign-in lasts longer. Login without Remember ends with the
// browser, and has none unless the store would not keep it for long enough.
func (c Config) ageOf(r store.Record) time.Duration {
	in := signin.Of(r.Values)
	switch seconds, _ := value.Int(r.Values[value.MaxAge]); {
	case seconds > 0:
		return time.Duration(seconds) * time.Second
	case seconds < 0, r.User != "" && !in.Values && !in.Remembered:
		c.Cookie.MaxAge = 0
	}
	if needs := r.Expires.Sub(r.Seen); needs > c.life()+late {
		return ceil(needs)
	}
	return c.Cookie.MaxAge
}

// lifeOf returns how long a record's session lives after its last use.
func (c Config) lifeOf(r store.Record) time.Duration {
	if age := c.ageOf(r); age > 0 {
		return ceil(age)
	}
	return ceil(c.TTL)
}

func sameSite(s http.SameSite) string {
	switch s { //nolint:exhaustive // the others say nothing
	case http.SameSiteLaxMode:
		return "lax"
	case http.SameSiteStrictMode:
		return "strict"
	case http.SameSiteNoneMode:
		return "none"
	}
	return ""
}

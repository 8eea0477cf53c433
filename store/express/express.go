// Package express keeps sessions where express-session keeps them, so that an
// Express application and a Gin one have the same sessions while one takes over from
// the other, route by route:
//
//	r.Use(sessionkit.Sessions(express.Redis(client, express.Config{
//		Secrets: express.Secrets{[]byte(os.Getenv("SESSION_SECRET"))}, // as in session({ secret })
//		User:    express.User{Name: "userId"},                        // as in req.session.userId
//	})))
//
// [Redis] is for sessions that connect-redis 9 keeps, and [Postgres] for those of
// connect-pg-simple 10; both under express-session 1.19. A session that Node has made
// is the session here and the other way round, under the same cookie, with the same
// values: req.session.username is sessionkit.NewKey[string]("username"), and an object
// is a struct. A sign-in or sign-out of either side is seen by the next request of the
// other.
//
// When the last route has moved, store.Migrate takes the sessions over to a store of
// this module, and nobody is signed out:
//
//	old := express.Redis(client, config)
//	r.Use(sessionkit.Sessions(store.Migrate(old, redisstore.New(client), "connect.sid", old.UserOf)))
//
// # What each side changes
//
// This side changes single values by one script or statement and leaves the others as
// they stand: in Redis it exchanges the document if what it has read still stands there, and
// else begins again. It does not bring a session back that Node has destroyed. Node writes
// whole sessions: a request of Node that ends after one of this side's puts back what
// it has read, and brings back a session that was signed out meanwhile. Nothing on
// this side can prevent that.
//
// # What does not hold
//
// Session IDs stand in the store as they are, so someone who can read the store and
// knows a secret can use the sessions. The store does not know the sessions of a user: Devices, Revoke,
// LogoutOthers and LogoutEverywhere of package sessionkit return [errors.ErrUnsupported],
// and Sessions panics if Config.MaxSessions is set. A session that was given a new ID leaves no
// trace: a request that is under way with the old one finds no session.
//
// # Deadlines
//
// Node lets a session live for its cookie's maxAge, or for the store's ttl, after its
// last use, as the TTL in the store says. Both sides renew it, this one once a minute.
// A session that was signed in by Login on this side also has the IdleTimeout and the
// Lifetime of sessionkit.Config. They are checked when this side next sees the session;
// Node does not know them. If its Lifetime has passed, the session is removed. If its
// IdleTimeout has passed, nobody is signed in on this side and the session stays, because
// how long it was unused is only inferred from the TTL.
//
// So if Node gives a session another TTL than its maxAge or the ttl says, as by
// req.session.cookie.maxAge in a request that changes nothing else, the IdleTimeout does
// not hold. Use on this side sets the TTL to what the session says of its cookie.
//
// A sign-in by Login ends here when Node signs out, signs somebody else in, or gives the
// session a new ID. If Node signs out by deleting the value and signs the same user in to the
// same session, and this side does not see the session in between, the Lifetime of the
// first sign-in goes on.
//
// If Node has set req.session.cookie.expires to false or null, the cookie ends with the
// browser on this side as well, whatever Config.Cookie says. A sign-in by Login without
// Remember ends with the browser on both sides, and Node lets it live for Config.TTL after its
// last use. Only if its IdleTimeout and Lifetime are longer than that does Node send the cookie
// with a maxAge.
//
// # Values
//
// Node sees what a typed key has set as the JSON of its type, and a typed key reads what
// Node has set, as encoding/json does.
//
// A value of sessions.Default(c) has no type beside its JSON. A string, a bool and nil are
// read as such. A number is read as an int if it is whole and fits, else as a float64: that
// of Set("n", 7.0) or Set("n", int64(7)) is the int 7 in the next request. A time.Time is
// read as a string. Anything else that sessions.Default(c) sets, such as []byte, []string,
// []any and map[string]any, comes back with its type, but is for this side alone: in Node
// it is an object with a member _kit:text, signed with the first of Config.Secrets for the
// name of the value. So is a string that is not UTF-8. Without the secret, or under another
// name, such an object is JSON as any other. For a list or an object that both sides read, use
// a typed key. In sessions.Default(c) it is then a fmt.Stringer that returns the JSON, and so
// is one that Node has set.
//
// Names that exist on every JavaScript object or on express-session's, such as id,
// cookie, save and constructor, are lost in Node, so they are refused here. Numbers that
// JavaScript rounds are refused as well, such as integers beyond 2^53 and a json.Number of
// more digits than a float64 keeps: use a string, or the tag `json:",string"`. Keys of
// sessions.Default(c) that only gob encodes are refused. In a struct or list, encoding/json
// replaces bytes that are not UTF-8, as over every store. The middleware's own values, such as
// flash messages, have names that begin with _kit:, and Node keeps them.
package express

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/turn"
)

// Config says how the Express application is configured. Only Secrets must be set;
// for what is not, the default is that of express-session, connect-redis and
// connect-pg-simple.
type Config struct {
	// Secrets are those of session({ secret }): the first one signs, all verify.
	Secrets Secrets

	// User says which session value holds who is signed in. Default: none, and then
	// Node does not know who has signed in by Login, nor the other way round.
	User User

	// Cookie is the session cookie, as in session({ name, cookie }).
	Cookie Cookie

	// TTL is how long a session lives after its last use if Cookie.MaxAge is 0: the
	// ttl of connect-redis or connect-pg-simple. Whole seconds. Default: 24 h.
	TTL time.Duration

	// Prefix is what the keys in Redis begin with. Default: "sess:". For no prefix, set
	// NoPrefix.
	Prefix   string
	NoPrefix bool

	// Schema and Table name the table in PostgreSQL. Default: "session" in the search
	// path of the connection.
	Schema, Table string

	// Timeout bounds one operation on the server. Default: 2 s. Negative: no bound.
	Timeout time.Duration
}

// A Cookie has the attributes of the session cookie. The zero value is
// express-session's default: connect.sid with Path=/ and HttpOnly, until the browser
// closes. Both sides must have the same attributes.
type Cookie struct {
	Name   string // default: "connect.sid"
	Domain string // default: "", this host alone
	Path   string // default: "/"

	// MaxAge is how long the cookie and the session live after their last use. The
	// cookie has it as Max-Age here, and as Expires from Node. Here it is sent again
	// whenever use is recorded, at most once a minute, and lives a day longer.
	// Default: 0, until the browser closes.
	MaxAge time.Duration

	Secure      Secure        // default: Never
	SameSite    http.SameSite // default: 0, the attribute is not sent
	Partitioned bool

	// Priority is "low", "medium" or "high". Cookies of this side do not have it; it is
	// stored so that those of Node keep it.
	Priority string

	ScriptReadable bool // cookie: { httpOnly: false }
}

// Secure says whether the session cookie has the Secure attribute.
type Secure uint8

// The values of Secure, which are those of cookie: { secure } in Express.
const (
	Never  Secure = iota // secure: false
	Always               // secure: true
	Auto                 // secure: 'auto', if the request came over HTTPS
)

// secure reports whether a cookie that is set now is Secure.
func (c Cookie) secure(https bool) bool { return c.Secure == Always || c.Secure == Auto && https }

// User says which session value holds who is signed in, and how. With Name alone, the
// value is the user as a string; a number is read as its digits. Login of package
// sessionkit writes the value, and a value that Node has written signs in here.
//
// For Passport there is [Passport]. For anything else, Read and Write translate, as here for
// req.session.user = { id: 42 }:
//
//	express.User{
//		Name: "user",
//		Read: func(raw json.RawMessage) string {
//			var u struct{ ID json.Number } // a string in place of json.Number for { id: 'ada' }
//			_ = json.Unmarshal(raw, &u)
//			return u.ID.String()
//		},
//		Write: func(user string) any { return map[string]json.Number{"id": json.Number(user)} },
//	}
type User struct {
	// Name is the name of the value.
	Name string

	// Read returns who is signed in by the value, "" for nobody. Default: the value
	// itself.
	Read func(raw json.RawMessage) string

	// Write returns the value of a user; it is stored as JSON. Default: the user as a
	// string.
	Write func(user string) any
}

// Passport returns the User of an application that signs in by Passport, which keeps
// { passport: { user: 42 } }. ID is int if serializeUser calls done(null, user.id) with a number,
// and string if with a text. Both are read. What is written is an ID, and if that is int,
// signing in fails for anything but an integer in its usual form that Node reads as the same:
// up to 2^53.
func Passport[ID int | string]() User {
	return User{
		Name: "passport",
		Read: func(raw json.RawMessage) string {
			var p struct{ User json.RawMessage }
			if json.Unmarshal(raw, &p) != nil {
				return ""
			}
			return User{}.read(string(p.User))
		},
		Write: func(user string) any {
			if _, isNumber := any(*new(ID)).(int); isNumber {
				n, err := strconv.ParseInt(user, 10, 64)
				if err != nil || strconv.FormatInt(n, 10) != user || rounds(user) {
					return map[string]any{"user": nil} // which is read as nobody, so that the sign-in fails
				}
				return map[string]int64{"user": n}
			}
			return map[string]string{"user": user}
		},
	}
}

func (u User) read(raw string) string {
	switch {
	case raw == "":
		return ""
	case u.Read != nil:
		return u.Read(json.RawMessage(raw))
	case raw[0] == '"':
		var s string
		if json.Unmarshal([]byte(raw), &s) != nil {
			return ""
		}
		return s
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		return raw
	}
	return ""
}

func (u User) write(user string) (string, error) {
	if u.Write == nil {
		return marshal(user)
	}
	return marshal(u.Write(user))
}

// maxAge is the longest that browsers keep a cookie (RFC 6265bis section 5.5).
const maxAge = 400 * 24 * time.Hour

// Validate returns nil if [Redis] and [Postgres] accept the Config. Otherwise the
// error names each field that is wrong, why, and the remedy.
func (c Config) Validate() error {
	f := config.Fields{Prefix: "express: Config."}
	if len(c.Secrets) == 0 {
		f.Add("Secrets", "empty", "set it to the secrets of express-session")
	}
	for i, secret := range c.Secrets {
		if len(secret) == 0 {
			f.Add(fmt.Sprintf("Secrets[%d]", i), "empty", "anybody could sign with it; is the environment variable set?")
		}
	}
	if c.User.Name == "" && (c.User.Read != nil || c.User.Write != nil) {
		f.Add("User.Name", "empty", "Read and Write need the name of the value that they translate")
	}
	if (c.User.Read == nil) != (c.User.Write == nil) {
		f.Add("User", "half set", "set both Read and Write, or neither")
	}
	if isLost(c.User.Name) {
		f.Add("User.Name", strconv.Quote(c.User.Name), "express-session loses a value of this name")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"TTL", c.TTL}, {"Cookie.MaxAge", c.Cookie.MaxAge}} {
		switch {
		case d.value < 0:
			f.Add(d.field, d.value.String(), "must be positive; 0 means the default")
		case d.value > 0 && d.value < config.MinDuration:
			f.Add(d.field, d.value.String(), config.TooShort)
		case d.value > maxAge:
			f.Add(d.field, d.value.String(), "browsers keep no cookie over 400 days; make it shorter")
		}
	}
	if c.NoPrefix && c.Prefix != "" {
		f.Add("NoPrefix", "true", "Prefix is set as well; set one of them")
	}
	for _, d := range []struct{ field, name string }{{"Schema", c.Schema}, {"Table", c.Table}} {
		if strings.ContainsRune(d.name, 0) || !utf8.ValidString(d.name) {
			f.Add(d.field, strconv.Quote(d.name), "must be a name of PostgreSQL")
		}
	}
	c.Cookie.validate(&f)
	return f.Err()
}

// validate notes what is wrong with the attributes, and which of them browsers would drop the
// cookie for.
func (c Cookie) validate(f *config.Fields) {
	if c.Name != "" && !config.IsToken(c.Name) {
		f.Add("Cookie.Name", strconv.Quote(c.Name), "must be letters, digits and !#$%&'*+-.^_`|~ (RFC 6265)")
	}
	if c.Path != "" && !config.IsPath(c.Path) {
		f.Add("Cookie.Path", strconv.Quote(c.Path), config.NoPath)
	}
	if c.Domain != "" && !config.IsDomain(c.host()) {
		f.Add("Cookie.Domain", strconv.Quote(c.Domain), "must be a host name such as example.com, without scheme or port; for one host alone leave it out on both sides")
	}
	if c.SameSite < 0 || c.SameSite > http.SameSiteNoneMode {
		f.Add("Cookie.SameSite", strconv.Itoa(int(c.SameSite)), "must be http.SameSiteLaxMode, StrictMode or NoneMode")
	}
	if c.Secure == Never && c.SameSite == http.SameSiteNoneMode {
		f.Add("Cookie.SameSite", "None", "browsers take SameSite=None from Secure cookies only; set Secure to Always or Auto, as in Express")
	}
	if c.Secure == Never && c.Partitioned {
		f.Add("Cookie.Partitioned", "true", "browsers partition Secure cookies only; set Secure to Always or Auto, as in Express")
	}
	switch c.Priority {
	case "", "low", "medium", "high":
	default:
		f.Add("Cookie.Priority", strconv.Quote(c.Priority), `must be "low", "medium" or "high"`)
	}
	if c.Secure > Auto {
		f.Add("Cookie.Secure", strconv.Itoa(int(c.Secure)), "must be Never, Always or Auto")
	}
	c.validatePrefix(f)
}

// validatePrefix judges what a prefix of the name promises to browsers (RFC 6265bis section
// 4.1.3), which compare it without case.
func (c Cookie) validatePrefix(f *config.Fields) {
	name := strings.ToLower(c.Name)
	isHost, isHTTP := strings.HasPrefix(name, "__host-"), strings.HasPrefix(name, "__http-") || strings.HasPrefix(name, "__host-http-")
	if (isHost || isHTTP || strings.HasPrefix(name, "__secure-")) && c.Secure != Always {
		f.Add("Cookie.Secure", "not Always", "browsers take a cookie with the prefix of Cookie.Name from Secure cookies only; set it to Always, and secure: true in Express")
	}
	if isHost && c.Domain != "" {
		f.Add("Cookie.Domain", strconv.Quote(c.Domain), "the prefix __Host- of Cookie.Name excludes it; drop one of them")
	}
	if isHost && c.Path != "" && c.Path != "/" {
		f.Add("Cookie.Path", strconv.Quote(c.Path), `the prefix __Host- of Cookie.Name excludes any but "/"; drop one of them`)
	}
	if isHTTP && c.ScriptReadable {
		f.Add("Cookie.ScriptReadable", "true", "the prefix of Cookie.Name promises HttpOnly; drop one of them")
	}
}

// host returns the Domain as browsers read it, and net/http writes it: without a leading dot
// (RFC 6265 section 5.2.3), with which Express applications often have it.
func (c Cookie) host() string { return strings.TrimPrefix(c.Domain, ".") }

func (c Config) withDefaults() Config {
	if c.Cookie.Name == "" {
		c.Cookie.Name = "connect.sid"
	}
	if c.Cookie.Path == "" {
		c.Cookie.Path = "/"
	}
	if c.TTL == 0 {
		c.TTL = 24 * time.Hour
	}
	if c.Prefix == "" && !c.NoPrefix {
		c.Prefix = "sess:"
	}
	if c.Table == "" {
		c.Table = "session"
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	return c
}

// Format implements [fmt.Formatter], so that no verb prints the secrets.
func (c Config) Format(f fmt.State, _ rune) {
	c = c.withDefaults()
	_, _ = fmt.Fprintf(f, "express.Config{Cookie.Name: %q, User.Name: %q, %v}", c.Cookie.Name, c.User.Name, c.Secrets)
}

// LogValue implements [slog.LogValuer], so that no log shows the secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// life returns how long a session lives after its last use unless it says otherwise.
func (c Config) life() time.Duration {
	if c.Cookie.MaxAge > 0 {
		return ceil(c.Cookie.MaxAge)
	}
	return ceil(c.TTL)
}

// ceil rounds up to whole seconds, as the stores of Node do.
func ceil(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// A Store keeps sessions as Express does. It is for sessionkit.Sessions, and also a
// store of gin-contrib/sessions. All methods are safe for concurrent use.
type Store struct {
	config  Config
	backend backend
}

// Redis returns a store over the sessions that connect-redis keeps in the server of
// client. It panics on a [Config] that cannot work. The client is the caller's to
// close; its cache is not used, and it must not send reads to replicas (SendToReplicas), as
// changes are made of what was read. The user needs the permissions for EVAL, EVALSHA, GET,
// PTTL, SET, EXPIRE and DEL.
//
// A client with ConnLifetime may have a command carried out twice, if the server was slow to
// answer: then a sign-in fails, a renewal ends the session, Take of a session value gives it to
// nobody, and Update may call its function once more on the result.
func Redis(client rueidis.Client, c Config) *Store {
	if client == nil {
		panic("express: Redis needs a client; rueidis.NewClient makes one")
	}
	s := newStore(c)
	s.backend = &redisBackend{client: client, prefix: s.config.Prefix, turns: turn.New(), bound: s.bound}
	return s
}

// Postgres returns a store over the sessions that connect-pg-simple keeps in a table,
// which must be there. It panics on a [Config] that cannot work. The database is the
// caller's to close.
//
// The table's column expire has no time zone. It is the local time of whoever writes
// it, so connections of both sides must have the same TimeZone, as they do unless one
// sets it.
//
// The driver should be pgx. lib/pq has [database/sql] run a statement again whose answer was
// lost, without an error: so Take of a session value may give it to nobody, and Update may call
// its function once more on the result.
func Postgres(db *sql.DB, c Config) *Store {
	if db == nil {
		panic("express: Postgres needs a database; sql.Open makes one")
	}
	s := newStore(c)
	s.backend = newPostgres(db, s.config)
	return s
}

func newStore(c Config) *Store {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	return &Store{config: c.withDefaults()}
}

// UserOf returns who is signed in according to the values of a session, as Config.User
// says: for store.Migrate.
func (s *Store) UserOf(values map[any]any) string {
	v, ok := values[s.config.User.Name]
	if !ok || s.config.User.Name == "" {
		return ""
	}
	raw, err := rawOf(v)
	if err != nil && !errors.Is(err, errRounded) { // to read it is all right
		return ""
	}
	return s.config.User.read(raw)
}

// newID returns a new session ID: 256 random bits.
func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails: the program ends instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// isID reports whether a text can be a session ID: genid of express-session may
// return any text.
func isID(sid string) bool {
	return sid != "" && utf8.ValidString(sid) && strings.IndexByte(sid, 0) < 0
}

// publicID returns the ID by which a session is known outside: it opens nothing.
func publicID(sid string) string {
	sum := sha256.Sum256([]byte(sid))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

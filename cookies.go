package sessionkit

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/session"
)

// The errors of cookies. A cookie that did not come is [http.ErrNoCookie].
var (
	// ErrCookieTooLarge is the error of a cookie whose name and value together
	// exceed 4096 bytes, which browsers drop (RFC 6265bis section 5.6).
	ErrCookieTooLarge = errors.New("the cookie is larger than the 4096 bytes that browsers keep")

	// ErrCookieTampered is the error of a Signed or Encrypted cookie that was not
	// sealed with one of Config.Secrets under this name.
	ErrCookieTampered = errors.New("the cookie was not sealed by this site")

	// ErrCookieExpired is the error of a Signed or Encrypted cookie that was sent
	// back after its MaxAge.
	ErrCookieExpired = errors.New("the cookie has expired")

	// ErrCookieMalformed is the error of a cookie whose value is not of its type.
	ErrCookieMalformed = errors.New("the cookie is malformed")
)

// Protection says who may read and change a cookie's value.
type Protection uint8

// The protections.
const (
	Plain     Protection = iota // the browser's user may read and change it
	Signed                      // they may read it: HMAC-SHA-256
	Encrypted                   // they may do neither: AES-256-GCM
)

// CookieOptions are the attributes of a cookie. The zero value is a cookie for the
// whole of this host, until the browser closes, that no script can read: Secure;
// HttpOnly; SameSite=Lax; Path=/ (OWASP ASVS 5.0 section 3.3). Of the requests that
// other sites cause, only those that open a page carry it, as links do. On a
// developer's own machine, and with Config.InsecureHTTP, it goes over plain HTTP without
// Secure. Browsers take SameSite=None and Partitioned from Secure cookies only, so there the
// first becomes Lax, and the second is left out.
type CookieOptions struct {
	// MaxAge is how long the browser keeps the cookie, at most 400 days (RFC
	// 6265bis section 5.5). It is bound into Signed and Encrypted cookies.
	// Default: 0, until the browser closes; a copy of a Signed or Encrypted cookie is
	// then accepted until its secret is removed.
	MaxAge time.Duration

	Domain         string        // lets subdomains see the cookie, no public suffix; default: this host alone
	Path           string        // default: "/"
	SameSite       http.SameSite // default: Lax
	Partitioned    bool          // a jar for each site that embeds this one (CHIPS); needs SameSite None
	ScriptReadable bool          // leaves HttpOnly out
	Protection     Protection    // default: Plain
}

func (o CookieOptions) withDefaults() CookieOptions {
	if o.Path == "" {
		o.Path = "/"
	}
	if o.SameSite == 0 || o.SameSite == http.SameSiteDefaultMode {
		o.SameSite = http.SameSiteLaxMode
	}
	return o
}

// validate judges the options of a cookie of this name.
func (o CookieOptions) validate(name string) error {
	var of problems
	of.cookieName("the name", name)
	p := problems{prefix: "CookieOptions.", errs: of.errs}
	p.scope(o.Domain, o.Path, o.SameSite, o.Partitioned)
	if o.MaxAge < 0 {
		p.add("MaxAge", o.MaxAge.String(), "must be positive; to delete a cookie call Delete")
	}
	if o.MaxAge > session.MaxCookieAge {
		p.add("MaxAge", o.MaxAge.String(), "browsers keep no cookie over 400 days; make it shorter")
	}
	if o.MaxAge > 0 && o.MaxAge < time.Second {
		p.add("MaxAge", o.MaxAge.String(), "cookies count whole seconds; multiply by time.Second, and make it 1 s or more")
	}
	if o.Protection > Encrypted {
		p.add("Protection", fmt.Sprint(uint8(o.Protection)), "must be Plain, Signed or Encrypted")
	}
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, strings.ToLower(cookie.PrefixHost)) && (o.Domain != "" || o.Path != "/") {
		p.add("Path", quote(o.Path), "the prefix __Host- excludes Domain and any Path but /; drop them or the prefix")
	}
	if o.ScriptReadable && (strings.HasPrefix(lower, strings.ToLower(cookie.PrefixHTTP)) || strings.HasPrefix(lower, strings.ToLower(cookie.PrefixHostHTTP))) {
		p.add("ScriptReadable", "true", "the prefix "+cookie.PrefixHTTP+" promises HttpOnly; drop one of them")
	}
	return errors.Join(p.errs...)
}

// Cookie is a cookie of the application's own, with its type and its attributes.
// Make it once, at package level, with [NewCookie].
//
// A string stands in the cookie as it is, another basic kind as its text, and any
// other type as JSON; bytes that a cookie cannot hold are percent-encoded.
type Cookie[T any] struct {
	name    string
	options CookieOptions
}

// NewCookie returns a cookie. It panics on options that browsers would refuse, and
// where T can never be stored. The options are one value at most.
func NewCookie[T any](name string, options ...CookieOptions) Cookie[T] {
	newCodec[T]("NewCookie", name)
	o, err := optionsOf(fmt.Sprintf("NewCookie(%q)", name), name, options)
	if err != nil {
		panic(err)
	}
	return Cookie[T]{name: name, options: o}
}

// optionsOf returns the options that were given to a call.
func optionsOf(call, name string, given []CookieOptions) (CookieOptions, error) {
	o, err := config.One("sessionkit: "+call, given)
	if err != nil {
		return o, err
	}
	o = o.withDefaults()
	if err := o.validate(name); err != nil {
		return o, callError{call, err}
	}
	return o, nil
}

// callError adds to what is wrong with some options what they were given to.
type callError struct {
	call string
	err  error
}

func (e callError) Error() string {
	return "sessionkit: " + e.call + ": " + strings.ReplaceAll(e.err.Error(), "sessionkit: ", "")
}

func (e callError) Unwrap() error { return e.err }

// Set sends the cookie with the response, in place of one of the same name. The
// error is [ErrCookieTooLarge], or says that the response has begun, that Config.Secrets is
// empty, that v does not encode or cannot be read back, or that the name is that of the session
// cookie; then no cookie is sent.
func (k Cookie[T]) Set(c *gin.Context, v T) error {
	text, err := cookie.Text(v)
	if err != nil {
		return fmt.Errorf("sessionkit: setting cookie %q: %w", k.name, err)
	}
	return setCookie(c, k.name, text, k.options)
}

// Get returns the value that came with the request. The error is
// [http.ErrNoCookie], [ErrCookieTampered], [ErrCookieExpired] or
// [ErrCookieMalformed], or says that Config.Secrets is empty, and then the value is
// the zero T.
func (k Cookie[T]) Get(c *gin.Context) (T, error) {
	var v T
	text, err := getCookie(c, k.name, k.options.Protection)
	if err == nil && cookie.Parse(text, &v) != nil {
		err = ErrCookieMalformed
	}
	if err != nil {
		var zero T
		return zero, fmt.Errorf("sessionkit: reading cookie %q: %w", k.name, err)
	}
	return v, nil
}

// Delete has the browser drop the cookie. After the response has begun it does
// nothing, and that is reported to Config.OnError.
func (k Cookie[T]) Delete(c *gin.Context) { deleteCookie(c, k.name, k.options) }

// SetCookie sends a cookie whose name or options are known only now; [NewCookie]
// is for the others. The error is that of [Cookie.Set], or joins a [*ConfigError]
// for each option that browsers would refuse.
func SetCookie(c *gin.Context, name, value string, options ...CookieOptions) error {
	o, err := optionsOf(fmt.Sprintf("SetCookie(%q)", name), name, options)
	if err != nil {
		return err
	}
	return setCookie(c, name, value, o)
}

// GetCookie returns the value of a Plain cookie. The error is [http.ErrNoCookie],
// or [ErrCookieMalformed] for a percent sign that begins no escape.
func GetCookie(c *gin.Context, name string) (string, error) {
	text, err := getCookie(c, name, Plain)
	if err != nil {
		return "", fmt.Errorf("sessionkit: reading cookie %q: %w", name, err)
	}
	return text, nil
}

// DeleteCookie has the browser drop a cookie. Path, Domain and Partitioned must be
// those that it was set with, or browsers keep it. A response sets a name once: of
// several calls, here and in [SetCookie], the last one counts. What cannot be done,
// because the options are wrong or the response has begun, is reported to
// Config.OnError.
func DeleteCookie(c *gin.Context, name string, options ...CookieOptions) {
	o, err := optionsOf(fmt.Sprintf("DeleteCookie(%q)", name), name, options)
	if err != nil {
		q := requestOf(c, "DeleteCookie")
		q.lock()
		defer q.unlock(c)
		q.calls().errs = append(q.calls().errs, err)
		return
	}
	deleteCookie(c, name, o)
}

func setCookie(c *gin.Context, name, value string, o CookieOptions) error {
	q := requestOf(c, "SetCookie")
	q.lock()
	defer q.unlock(c)
	sent, err := q.newCookie(name, o)
	if err == nil {
		sent.Value, err = q.kit.seal(name, value, o)
	}
	if err == nil && len(name)+len(sent.Value) > cookie.MaxBytes {
		err = ErrCookieTooLarge
	}
	if err != nil {
		return fmt.Errorf("sessionkit: setting cookie %q: %w", name, err)
	}
	sent.MaxAge = int(o.MaxAge / time.Second)
	cookie.Put(q.writer.Header(), &sent)
	return nil
}

func deleteCookie(c *gin.Context, name string, o CookieOptions) {
	q := requestOf(c, "DeleteCookie")
	q.lock()
	defer q.unlock(c)
	dropped, err := q.newCookie(name, o)
	if err != nil {
		q.reportCookie(name, err)
		return
	}
	cookie.Put(q.writer.Header(), cookie.Expire(&dropped))
}

// reportCookie hands to OnError why a cookie was not deleted.
func (q *request) reportCookie(name string, err error) {
	q.calls().errs = append(q.calls().errs, fmt.Errorf("sessionkit: deleting cookie %q: %w", name, err))
}

// newCookie returns a cookie without a value, fit for the connection.
func (q *request) newCookie(name string, o CookieOptions) (http.Cookie, error) {
	switch {
	case name == q.kit.site.SessionName(q.r):
		return http.Cookie{}, errors.New("this is the session's own cookie; choose another name")
	case !q.writer.TakesCookie() || q.writer.Written():
		return http.Cookie{}, errors.New("the response has begun; set cookies before writing")
	}
	return q.kit.site.Fit(q.r, http.Cookie{
		Name: name, Domain: o.Domain, Path: o.Path, SameSite: o.SameSite, Partitioned: o.Partitioned, HttpOnly: !o.ScriptReadable,
	}), nil
}

// seal returns what goes on the wire.
func (k *kit) seal(name, value string, o CookieOptions) (string, error) {
	if o.Protection == Plain {
		return cookie.Escape(value), nil
	}
	if len(k.sealers) == 0 {
		return "", errNoSecrets
	}
	var expiry time.Time
	if o.MaxAge > 0 {
		expiry = time.Now().Add(o.MaxAge)
	}
	if o.Protection == Signed {
		return k.sealers[0].Sign(name, []byte(value), expiry), nil
	}
	return k.sealers[0].Encrypt(name, []byte(value), expiry), nil
}

var errNoSecrets = errors.New("signed and encrypted cookies need Config.Secrets, which is empty")

// getCookie returns the value that came. Of several cookies of one name the first
// one counts that this site sealed: a sibling domain may have put its own before.
func getCookie(c *gin.Context, name string, protection Protection) (string, error) {
	q := requestOf(c, "GetCookie")
	if protection != Plain && len(q.kit.sealers) == 0 {
		return "", errNoSecrets
	}
	err := http.ErrNoCookie
	tried := 0
	for raw := range cookie.Values(q.r.Header["Cookie"], name) {
		if tried++; tried > cookie.MaxTried {
			break
		}
		if len(raw) > cookie.MaxBytes {
			err = ErrCookieMalformed
			continue
		}
		if protection == Plain {
			return unescape(raw)
		}
		value, openErr := q.kit.open(name, raw, protection)
		if openErr == nil {
			return value, nil
		}
		if !errors.Is(err, ErrCookieExpired) { // it says more than that another was not ours
			err = openErr
		}
	}
	return "", err
}

// open returns the value of a sealed cookie.
func (k *kit) open(name, raw string, protection Protection) (string, error) {
	sealed, ok := cookie.Decode(raw)
	if !ok {
		return "", ErrCookieTampered
	}
	for _, s := range k.sealers {
		open := s.Verify
		if protection == Encrypted {
			open = s.Decrypt
		}
		value, expiry, ok := open(name, sealed)
		switch {
		case !ok:
			continue
		case !expiry.IsZero() && !time.Now().Before(expiry):
			return "", ErrCookieExpired
		}
		return string(value), nil
	}
	return "", ErrCookieTampered
}

func unescape(raw string) (string, error) {
	text, err := cookie.Unescape(raw)
	if err != nil {
		return "", ErrCookieMalformed
	}
	return text, nil
}

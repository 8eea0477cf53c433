package kittest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// WithCookies sends a request whose Cookie header is the given one.
func WithCookies(a http.Handler, path, header string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://example.com"+path, nil)
	r.Header["Cookie"] = []string{header}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// OpenRedirects are the shapes of the public lists of tricks. HOST is the
// attacker's.
var OpenRedirects = []string{
	"//HOST", "///HOST", "////HOST", "//HOST/%2f..", "///HOST/%2f%2e%2e", "//example.com@HOST", "///example.com@HOST/%2f..", "//HOST/", "//HOST//",
	"http://HOST", "https://HOST", "https:HOST", "https:/HOST", "https:///HOST", "HTTPS://HOST", "hTTp:HOST", "https://example.com@HOST", "https://example.com.HOST",
	"https://example.com%2eHOST", "https://HOST/example.com", "https://HOST#example.com", "https://HOST?example.com", `https://HOST\example.com`,
	"/https://HOST", "/https:///HOST", "//https://HOST//", "/http://HOST", `/\HOST`, `\HOST`, `\\HOST`, `\/HOST`, `/\/HOST`, `\/\/HOST`, `/\\HOST`, `///\;@HOST`,
	"/%09/HOST", "//%09/HOST", "/%0a/HOST", "/%0d/HOST", "/%0d%0a/HOST", "/%5cHOST", "//%5cHOST", "/%5c%5cHOST", "/%2fHOST", "/%2f%2fHOST", "%2f%2fHOST", "/%252fHOST",
	"/%25%32%66HOST", "/%2525252fHOST", "/\t/HOST", "/\n/HOST", "/\r/HOST", "\t//HOST", " //HOST", "\x00//HOST", "\x01//HOST", "/\x00/HOST", "/\x0b/HOST", "//\tHOST",
	"/%00/HOST", "//HOST%00.example.com", "/.//HOST", "/..//HOST", "/./\\HOST", "/%2e%2e//HOST", "/x/..//HOST", "/;@HOST", "/@HOST", ".HOST", "@HOST", "HOST", "//;@HOST",
	"javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "java%0d%0ascript:alert(1)", "\x01javascript:alert(1)", "/javascript:alert(1)", "javascript://HOST/%0aalert(1)",
	"//javascript:alert(1)", "data:text/html;base64,PHNjcmlwdD4=", "vbscript:msgbox(1)", "ftp://HOST", "//[::ffff:192.0.2.1]", "//3221225985", "//0xc0000201", "//0300.0.02.01",
	"//HOST:443", "//HOST:x", "//%48OST", "//HOST。", "//HOST%E3%80%82example", "/\u2215\u2215HOST", "／／HOST", "/／HOST", "/%EF%BC%8FHOST", "〱HOST", "/\u0085/HOST", "/\u2028/HOST",
	"?next=//HOST", "#//HOST", ";//HOST", "?//HOST", "/?next=//HOST", "/#//HOST", "http:/\\HOST", "http:\\\\HOST", "https:/\\/\\HOST", "/%68%74%74%70%73://HOST", "//HOST\\@example.com",
	"<>//HOST", "\"//HOST", "'//HOST", "/\r\nLocation: https://HOST", "/%0d%0aLocation:%20https://HOST", "/\u560a\u560dLocation: https://HOST", "/%E5%98%8A%E5%98%8DLocation:HOST",
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// LeavesSite is how browsers read a Location (WHATWG URL sections 4.1 and 4.4), and
// how they read it if somebody on the way decodes it up to three times.
func LeavesSite(location string) bool {
	for range 4 {
		s := strings.TrimFunc(location, func(c rune) bool { return c <= ' ' })
		s = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(s)
		if strings.HasPrefix(s, "//") || scheme.MatchString(s) {
			return true
		}
		decoded, err := url.PathUnescape(location)
		if err != nil {
			return false
		}
		location = decoded
	}
	return false
}

var (
	SecretA = []byte(strings.Repeat("a", 32))
	SecretB = []byte(strings.Repeat("b", 40))
)

// Within runs a handler in a request that carries cookies.
func Within(tb testing.TB, config sessionkit.Config, cookies map[string]string, handler gin.HandlerFunc) *httptest.ResponseRecorder {
	tb.Helper()
	a := NewSite(memstore.New(), config)
	a.On("/", handler)
	b := NewBrowser(tb, a)
	maps.Copy(b.Cookies, cookies)
	return b.Get("/")
}

// CookieTexts are values that a cookie cannot hold as they are, and some that it can.
var CookieTexts = []string{"", "plain", "with space", `"quoted"`, "semi;colon,comma", "日本語", "nul\x00", "%", "%41", "a=b", "+", "\\", "a b;c\"\\%\x00\xff"}

var NextURLs = []struct {
	Next string
	Ok   bool
}{
	{"/", true},
	{"/account", true},
	{"/account?tab=1&q=a%20b#top", true},
	{"/search?q=100%", true},
	{"/ä/日本", true},
	{"/a//b", true},
	{"/a:b@c", true},
	{"/100%25", true},
	{"", false},
	{"account", false},
	{"//evil.example", false},
	{"///evil.example", false},
	{`/\evil.example`, false},
	{`\\evil.example`, false},
	{`\/evil.example`, false},
	{"https:evil.example", false},
	{"https://evil.example", false},
	{"HTTPS://evil.example", false},
	{"javascript:alert(1)", false},
	{"data:text/html,x", false},
	{" /account", false},
	{"\t//evil.example", false},
	{"/\t/evil.example", false},
	{"/\n/evil.example", false},
	{"/account\r\nSet-Cookie: a=b", false},
	{"/\x00", false},
	{"/\x7f", false},
	{"/%2fevil.example", false},
	{"/%2Fevil.example", false},
	{"/%5cevil.example", false},
	{"/%09/evil.example", false},
	{"/%0d%0aSet-Cookie:a=b", false},
	{"/a?x=%00%0A%0D%09%7F", true},
	{"/a?x=\n", false},
	{"/a?next=//evil.example", true},
	{"/a?x=%2F%2Fevil.example%5C", true},
	{"/%252fevil.example", false},
	{"/%25252fevil.example", false},
	{"%2f%2fevil.example", false},
	{"/\u0085/evil.example", false},
	{`/./\evil.example`, false},
	{`/#/../\evil.example`, false},
	{"/.//evil.example", false},
	{"/x/..//evil.example", false},
	{`/a\b`, false},
	{"/a/./b/../c", true},
	{`/a?b=\`, true},
	{"?next=/x", false},
	{"#/x", false},
	{"/a?SAMLRequest=" + strings.Repeat("fVLL%2B", 1000), true},
	{"/" + strings.Repeat("a", 8<<10), false},
}

// OddValues are values that one database or another would change or refuse.
var OddValues = []string{
	`1`, `-1`, `0`, `9223372036854775807`, `-9223372036854775808`, `["json",9223372036854775807]`, `["json",1.5]`, `["json",-0.25]`,
	`["json",18446744073709551615]`, `["json",123456789012345678901234567890]`, `["json",0.1234567890123456789]`,
	`["json",1e400]`, `["json",1E+200]`, `["json",-0]`, `["json",-0.0]`, `["json",1e-7]`, `["json",[1,-2,{"a":1e9}]]`,
	`["json","\ud800"]`, `["json","\uD800\udc00"]`, `["json","\u00e4\n\"\\"]`, `"ä\u2028"`, `["json",{"a":null,"b":{"c":null}}]`,
	`["json",` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]`,
	`["json",` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat("}", 40) + `]`,
	`["raw","x"]`, `["raw","1"]`, `["raw"]`, `[ "raw" , 1]`, `["rawer",1]`, `["nil"]`, `[]`, `""`, `true`, `"["`, `"{\"a\":1}"`, `["json","]},{["]`,
}

package howto_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/docs/howto"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// provider is an OpenID Connect provider where Ada signs in.
type provider struct {
	*httptest.Server

	key *rsa.PrivateKey

	mu         sync.Mutex
	codes      map[string]url.Values // the requests for authorization that they answer
	wrongNonce bool                  // the ID token is of another sign-in
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &provider{key: key, codes: make(map[string]url.Values)}
	r := gin.New()
	r.GET("/.well-known/openid-configuration", p.discover)
	r.GET("/keys", func(c *gin.Context) {
		c.JSON(http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	})
	r.GET("/authorize", html(`<!doctype html><title>Provider</title><form method="post"><button>I am Ada</button></form>`))
	r.POST("/authorize", p.answer)
	r.POST("/token", p.token)
	p.Server = httptest.NewTLSServer(r)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) discover(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

// answer sends the browser back, in the mode that the application asks for.
func (p *provider) answer(c *gin.Context) {
	request := c.Request.URL.Query()
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = request
	p.mu.Unlock()
	answer := url.Values{"code": {code}, "state": {request.Get("state")}}
	if request.Get("response_mode") != "form_post" {
		c.Redirect(http.StatusSeeOther, request.Get("redirect_uri")+"?"+answer.Encode())
		return
	}
	page := template.Must(template.New("").Parse(`<!doctype html><title>Provider</title>
<form method="post" action="{{.To}}"><input name="code" value="{{.Code}}"><input name="state" value="{{.State}}"></form>
<script>document.forms[0].submit()</script>`))
	var b strings.Builder
	_ = page.Execute(&b, map[string]any{"To": request.Get("redirect_uri"), "Code": code, "State": request.Get("state")})
	c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(b.String()))
}

// token gives the tokens for a code, once and to the one who has the verifier.
func (p *provider) token(c *gin.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	request, ok := p.codes[c.PostForm("code")]
	delete(p.codes, c.PostForm("code"))
	challenge := sha256.Sum256([]byte(c.PostForm("code_verifier")))
	if !ok || request.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		c.JSON(http.StatusBadRequest, gin.H{"error": "invalid_grant"})
		return
	}
	nonce := request.Get("nonce")
	if p.wrongNonce {
		nonce = "another"
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: p.key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		panic(err)
	}
	now := time.Now()
	id, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": p.URL, "sub": "ada", "aud": "shop", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": nonce,
	}).Serialize()
	if err != nil {
		panic(err)
	}
	c.JSON(http.StatusOK, gin.H{"access_token": "x", "token_type": "Bearer", "id_token": id})
}

// signInShop is a shop where one signs in at a provider.
func signInShop(t *testing.T, p *provider, mode string) (site string) {
	t.Helper()
	r := howto.WithFormPost(memstore.New(), cors.New(cors.Config{AllowOrigins: []string{"https://app.example.com"}, AllowCredentials: true}))
	r.Use(func(c *gin.Context) {
		c.Request = c.Request.WithContext(oidc.ClientContext(c.Request.Context(), p.Client()))
	})
	r.GET("/", func(c *gin.Context) {
		user, _ := sessionkit.User(c)
		items, _ := howto.Cart.Get(c)
		html(fmt.Sprintf(`<!doctype html><title>Shop</title><p>User "%s" has %v</p>
<form method="post" action="/cart"><button id="add">Tea</button></form><a id="sign-in" href="/auth?next=/account">Sign in</a>`, user, items))(c)
	})
	r.GET("/account", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") })
	r.POST("/cart", func(c *gin.Context) {
		_, err := howto.Cart.Update(c, func(items []string) []string { return append(items, "tea") })
		assert.NoError(t, err)
		c.Redirect(http.StatusSeeOther, "/")
	})
	site = serveTLS(t, "shop.example.com", r)

	known, err := howto.NewProvider(oidc.ClientContext(t.Context(), p.Client()), p.URL, "shop", "secret", site)
	require.NoError(t, err)
	known.ResponseMode = oauth2.SetAuthURLParam("response_mode", mode)
	known.Routes(r)
	return site
}

// TestSignInAtProvider: the provider is another site, to whose POST a Lax cookie does
// not come.
func TestSignInAtProvider(t *testing.T) {
	for _, mode := range []string{"query", "form_post"} {
		t.Run(mode, func(t *testing.T) {
			p := newProvider(t)
			site := signInShop(t, p, mode)
			b := newTab(t)
			b.open(site)
			b.click("#add")
			require.Contains(t, b.text(), `User "" has [tea]`)
			b.click("#sign-in")
			b.press("button")
			b.wait("location.href === " + fmt.Sprintf("%q", site+"/"))
			assert.Contains(t, b.text(), `User "`+p.URL+` ada" has [tea]`, "the visitor's cart is still there")

			callback := js[string](b, "performance.getEntriesByType('navigation')[0].name")
			assert.Equal(t, site+"/", callback, "neither code nor state stays in the address")
			b.open(site)
			b.click("#sign-in") // once more, for somebody who is signed in
			b.press("button")
			b.wait("location.href === " + fmt.Sprintf("%q", site+"/"))
			assert.Contains(t, b.text(), `User "`+p.URL+` ada" has [tea]`)
		})
	}
}

// TestSignInAtProviderRefusals: whoever has not begun a sign-in is not signed in, and a
// sign-in ends once.
func TestSignInAtProviderRefusals(t *testing.T) {
	p := newProvider(t)
	site := strings.Replace(signInShop(t, p, "form_post"), "shop.example.com", "127.0.0.1", 1)
	newClient := func() *http.Client {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		return &http.Client{
			Jar: jar, Transport: p.Client().Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	send := func(client *http.Client, method, path string, body url.Values) (int, *url.URL) {
		q, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body.Encode()))
		require.NoError(t, err)
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if method == http.MethodPost {
			q.Header.Set("Origin", p.URL)
			q.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		res, err := client.Do(q)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		to, _ := res.Location()
		if method == http.MethodPost {
			assert.Empty(t, res.Cookies(), "the posted callback sets no cookie")
		}
		return res.StatusCode, to
	}
	begin := func(client *http.Client) (code, state string) {
		_, to := send(client, http.MethodGet, site+"/auth", nil)
		state = to.Query().Get("state")
		code = rand.Text()
		p.mu.Lock()
		p.codes[code] = to.Query()
		p.mu.Unlock()
		return code, state
	}
	finish := func(client *http.Client, code, state string) int {
		status, to := send(client, http.MethodPost, site+"/auth/callback", form("code", code, "state", state))
		require.Equal(t, http.StatusSeeOther, status)
		status, _ = send(client, http.MethodGet, site+to.RequestURI(), nil)
		return status
	}

	ada, mallory := newClient(), newClient()
	code, state := begin(mallory)
	begin(ada)
	assert.Equal(t, http.StatusBadRequest, finish(ada, code, state), "the state of another browser")
	assert.Equal(t, http.StatusBadRequest, finish(newClient(), code, state), "no state at all")

	code, state = begin(ada)
	assert.Equal(t, http.StatusBadRequest, finish(ada, code, "x"), "a link of another site")
	assert.Equal(t, http.StatusBadRequest, finish(ada, code, ""))
	assert.Equal(t, http.StatusSeeOther, finish(ada, code, state), "which has ended no sign-in")
	assert.Equal(t, http.StatusBadRequest, finish(ada, code, state), "once more")
	assert.Equal(t, http.StatusBadRequest, finish(ada, code, ""), "and no state is not one")

	_, state = begin(ada)
	stolen, _ := begin(mallory)
	assert.Equal(t, http.StatusForbidden, finish(ada, stolen, state), "the code of another sign-in, whose verifier is another")
	p.wrongNonce = true
	code, state = begin(ada)
	assert.Equal(t, http.StatusForbidden, finish(ada, code, state), "the ID token of another sign-in")

	status, _ := send(ada, http.MethodPost, site+"/cart", nil)
	assert.Equal(t, http.StatusForbidden, status, "the provider's origin may post to no other route")
}

// TestCookieOfAPostedCallback: what a provider posts beside code and state comes to the
// GET in a cookie, which the answer to the cross-site POST sets. For that the route has a
// middleware of its own.
func TestCookieOfAPostedCallback(t *testing.T) {
	name := sessionkit.NewCookie[string]("name", sessionkit.CookieOptions{Protection: sessionkit.Encrypted, MaxAge: time.Minute})
	kit := sessionkit.Sessions(memstore.New(), sessionkit.Config{
		CookielessRoutes: []string{"POST /auth/callback"}, Secrets: [][]byte{[]byte("0123456789abcdef0123456789abcdef")},
	})
	r := gin.New()
	r.POST("/auth/callback", kit, func(c *gin.Context) {
		assert.NoError(t, name.Set(c, c.PostForm("user")))
		c.Redirect(http.StatusSeeOther, "/auth/callback")
	})
	r.Use(cors.New(cors.Config{AllowOrigins: []string{"https://app.example.com"}}), kit)
	r.GET("/auth/callback", func(c *gin.Context) {
		user, err := name.Get(c)
		c.String(http.StatusOK, "%s %v", user, err)
	})
	site := serveTLS(t, "shop.example.com", r)
	elsewhere := gin.New()
	elsewhere.GET("/", html(fmt.Sprintf(`<!doctype html><title>Provider</title><form method="post" action="%s/auth/callback"><button name="user" value="Ada">Go</button></form>`, site)))
	b := newTab(t)
	b.open(serveTLS(t, "127.0.0.1", elsewhere))
	b.press("button")
	b.wait(`document.body.innerText === "Ada <nil>"`)
}

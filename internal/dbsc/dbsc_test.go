package dbsc_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/dbsc"
	"github.com/gin-sessionkit/sessionkit/internal/dbsctest"
)

type object = dbsctest.Object

// captured is a registration that Chromium 156 sent.
const captured = "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6IjhXYVp0LTlmTVF1LUt6QTZXMjUtUVFtVU9vUFlfb3R1Vk9YdEtOQWRQblEi" +
	"LCJ5IjoibVR6Uk9RamVxZm9ISzM3VEplWHhTOEpCR2lZTzVLaXRwUklMb2FfLVJhSSJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJjaDEtYVNSZTRXVlpGUDFLIn0." +
	"9xK6KVtpLCd8vHuQVNd1biWVtNVyo6j_HDHf9jrMZIygp93LYSSu_HCzmVoKUkjplD8fGaHaY3bVaM7UHA9znw"

// capturedRefresh is a refresh by the same key.
const capturedRefresh = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJqdGkiOiJjaDItLS00MjREd2xSUGVrIn0." +
	"BUOm1LySAWYQ_cytLUHN6pj1i1ScDFCmnluhhpSbQWDJwy8CiuSNrY07BPH8q-2rpKw0JkqUG9z6Wmux7_Boxw"

func TestProofOfChromium(t *testing.T) {
	p, err := dbsc.ParseProof(captured)
	require.NoError(t, err)
	assert.Equal(t, "ch1-aSRe4WVZFP1K", p.Challenge)
	key, err := p.ByOwnKey()
	require.NoError(t, err)
	assert.Equal(t, dbsc.ES256, key.Algorithm())

	refresh, err := dbsc.ParseProof(capturedRefresh)
	require.NoError(t, err)
	assert.Equal(t, "ch2---424DwlRPek", refresh.Challenge)
	require.NoError(t, refresh.By(key))
	_, err = refresh.ByOwnKey()
	require.ErrorIs(t, err, dbsc.ErrProof, "it brings none")
	assert.True(t, refresh.For("https://example.com/dbsc/refresh"), "it does not say for whom it is")
}

var rsaKey = sync.OnceValue(func() *dbsctest.Key { return dbsctest.NewRS256(&testing.T{}, 2048) })

// TestProofs is what counts as the proof of a registration, and what does not.
func TestProofs(t *testing.T) {
	key, other, rs, small := dbsctest.NewES256(t), dbsctest.NewES256(t), rsaKey(), dbsctest.NewRS256(t, 1024)
	header := func(changes object) object {
		h := object{"alg": "ES256", "typ": "dbsc+jwt", "jwk": key.JWK()}
		for name, v := range changes {
			if h[name] = v; v == nil {
				delete(h, name)
			}
		}
		return h
	}
	jwk := func(changes object) object {
		j := key.JWK()
		for name, v := range changes {
			if j[name] = v; v == nil {
				delete(j, name)
			}
		}
		return header(object{"jwk": j})
	}
	payload := object{"jti": "c"}
	good := key.Registration("c")
	parts := strings.Split(good, ".")
	x, _ := key.JWK()["x"].(string)
	swappedBits := x[:len(x)-1] + string(x[len(x)-1]+1) // the last character has two bits that mean nothing

	for name, test := range map[string]struct {
		jwt string
		ok  bool
	}{
		"ES256":                         {good, true},
		"RS256":                         {rs.Registration("c"), true},
		"members beside":                {key.Sign(header(object{"kid": "1"}), object{"jti": "c", "authorization": "x", "iat": 1}), true},
		"for one":                       {key.Sign(header(nil), object{"jti": "c", "aud": "https://a/r"}), true},
		"for several":                   {key.Sign(header(nil), object{"jti": "c", "aud": []string{"https://b", "https://a/r"}}), true},
		"alg none":                      {key.Sign(header(object{"alg": "none"}), payload), false},
		"alg none without a signature":  {b64(`{"alg":"none","typ":"dbsc+jwt"}`) + "." + b64(`{"jti":"c"}`) + ".", false},
		"alg HS256":                     {key.Sign(header(object{"alg": "HS256"}), payload), false},
		"alg ES384":                     {key.Sign(header(object{"alg": "ES384"}), payload), false},
		"alg of the other kind":         {key.Sign(header(object{"alg": "RS256"}), payload), false},
		"alg in lower case":             {key.Sign(header(object{"alg": "es256"}), payload), false},
		"no alg":                        {key.Sign(header(object{"alg": nil}), payload), false},
		"alg in another spelling":       {key.Sign(`{"Alg":"ES256","typ":"dbsc+jwt"}`, payload), false},
		"alg twice":                     {key.Sign(strings.Replace(text(t, header(nil)), `{`, `{"alg":"none",`, 1), payload), false},
		"typ of another kind":           {key.Sign(header(object{"typ": "jwt"}), payload), false},
		"no typ":                        {key.Sign(header(object{"typ": nil}), payload), false},
		"crit":                          {key.Sign(header(object{"crit": []string{"b64"}}), payload), false},
		"no key":                        {key.Sign(header(object{"jwk": nil}), payload), false},
		"key is null":                   {key.Sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":null}`, payload), false},
		"private key":                   {key.Sign(jwk(object{"d": "AA"}), payload), false},
		"another curve":                 {key.Sign(jwk(object{"crv": "P-384"}), payload), false},
		"point off the curve":           {key.Sign(jwk(object{"y": x}), payload), false},
		"point at infinity":             {key.Sign(jwk(object{"x": zeros, "y": zeros}), payload), false},
		"short coordinate":              {key.Sign(jwk(object{"x": x[:40]}), payload), false},
		"coordinate in other bits":      {key.Sign(jwk(object{"x": swappedBits}), payload), false},
		"no coordinate":                 {key.Sign(jwk(object{"x": nil}), payload), false},
		"RSA of 1024 bits":              {rs.Sign(object{"alg": "RS256", "typ": "dbsc+jwt", "jwk": object{"kty": "RSA", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(append([]byte{0x81}, make([]byte, 127)...))}}, payload), false},
		"RSA with exponent 1":           {rs.Sign(object{"alg": "RS256", "typ": "dbsc+jwt", "jwk": object{"kty": "RSA", "e": "AQ", "n": rs.JWK()["n"]}}, payload), false},
		"signed by another key":         {other.Sign(header(nil), payload), false},
		"signed by a key of other kind": {rs.Sign(header(nil), payload), false},
		"payload of another":            {parts[0] + "." + b64(`{"jti":"d"}`) + "." + parts[2], false},
		"no jti":                        {key.Sign(header(nil), object{"iat": 1}), false},
		"jti is a number":               {key.Sign(header(nil), object{"jti": 1}), false},
		"jti is empty":                  {key.Sign(header(nil), object{"jti": ""}), false},
		"jti twice":                     {key.Sign(header(nil), `{"jti":"c","jti":"c"}`), false},
		"aud is a number":               {key.Sign(header(nil), object{"jti": "c", "aud": 1}), false},
		"aud is null":                   {key.Sign(header(nil), `{"jti":"c","aud":null}`), false},
		"payload is a list":             {key.Sign(header(nil), `["jti","c"]`), false},
		"payload is null":               {key.Sign(header(nil), `null`), false},
		"payload and more":              {key.Sign(header(nil), `{"jti":"c"}{}`), false},
		"payload is cut off":            {key.Sign(header(nil), `{"jti":"c"`), false},
		"empty":                         {"", false},
		"two parts":                     {parts[0] + "." + parts[1], false},
		"four parts":                    {good + ".e30", false},
		"JWE":                           {good + ".e30.e30", false},
		"cut off":                       {good[:len(good)-4], false},
		"padded":                        {good + "==", false},
		"broken line":                   {parts[0] + "." + parts[1] + "\n." + parts[2], false},
		"line broken in the signature":  {good[:len(good)-4] + "\n" + good[len(good)-4:], false},
		"zero before s":                 {parts[0] + "." + parts[1] + "." + withZero(t, parts[2]), false},
		"RSA of 1024 bits, signed":      {small.Registration("c"), false},
		"standard base64":               {parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + "+", false},
		"blank":                         {" " + good, false},
		"signature in DER":              {parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 70)), false},
		"signature of zeros":            {parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), false},
		"huge":                          {key.Sign(header(object{"x": strings.Repeat("x", dbsc.MaxProofBytes)}), payload), false},
		"deep":                          {key.Sign(strings.Repeat(`{"a":`, 600)+"1"+strings.Repeat("}", 600), payload), false},
	} {
		p, err := dbsc.ParseProof(test.jwt)
		if err == nil {
			_, err = p.ByOwnKey()
		}
		if test.ok {
			require.NoError(t, err, name)
			assert.Equal(t, "c", p.Challenge, name)
			assert.True(t, p.For("https://a/r"), name)
		} else {
			require.ErrorIs(t, err, dbsc.ErrProof, name)
			assert.NotContains(t, err.Error(), "jti\":", name)
		}
	}
}

// withZero puts a zero before the s of a signature, which does not change its number.
func withZero(t *testing.T, sig string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(sig)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(slices.Insert(b, 32, 0))
}

// TestAlgorithmOfARefresh: it must be that of the key, and one of the two.
func TestAlgorithmOfARefresh(t *testing.T) {
	k := dbsctest.NewES256(t)
	key := keyOf(t, k)
	for alg, parses := range map[string]bool{"ES256": true, "RS256": true, "none": false, "HS256": false, "": false} {
		p, err := dbsc.ParseProof(k.Sign(object{"alg": alg, "typ": "dbsc+jwt"}, object{"jti": "c"}))
		if !parses {
			require.ErrorIs(t, err, dbsc.ErrProof, alg)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, alg == "ES256", p.By(key) == nil, alg)
	}
	p, err := dbsc.ParseProof(k.Refresh("c"))
	require.NoError(t, err)
	require.Error(t, p.By(dbsc.Key{}))
	_, err = dbsc.ParseProof(k.Sign(object{"alg": "ES256", "typ": "dbsc+jwt", "crit": []string{"x"}}, object{"jti": "c"}))
	require.ErrorIs(t, err, dbsc.ErrProof)
}

var zeros = base64.RawURLEncoding.EncodeToString(make([]byte, 32))

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestProofIsForAnAddress(t *testing.T) {
	key := dbsctest.NewES256(t)
	parse := func(aud any) dbsc.Proof {
		p, err := dbsc.ParseProof(key.Sign(object{"alg": "ES256", "typ": "dbsc+jwt"}, object{"jti": "c", "aud": aud}))
		require.NoError(t, err)
		return p
	}
	assert.True(t, parse("https://a/r").For("https://b/r", "https://a/r"))
	assert.False(t, parse("https://a/r").For("https://b/r"))
	assert.False(t, parse("https://a/r").For())
	assert.True(t, parse([]string{"https://b", "https://a/r"}).For("https://a/r"))
	assert.False(t, parse([]string{}).For("https://a/r"), "a list of nobody is not for everybody")
}

// TestHeaders are as Chromium reads and writes them.
func TestHeaders(t *testing.T) {
	assert.Equal(t, `(ES256 RS256);path="/dbsc/register";challenge="abc"`, dbsc.Registration("/dbsc/register", "abc"))
	assert.Equal(t, `"abc";id="sid-1"`, dbsc.Challenge("abc", "sid-1"))
	for field, want := range map[string]string{"sid-1": "sid-1", `"sid-1"`: "sid-1", `"a.b.c"`: "a.b.c", `"`: `"`, "": "", `""`: "", `"a`: `"a`} {
		assert.Equal(t, want, dbsc.Unquote(field), field)
	}
	assert.Equal(t, "a.b.c", dbsc.Unquote(` "a.b.c" `))
	for id, want := range map[string]bool{
		"sid-1": true, "A_9": true, "": false, `a"`: false, "a b": false, "é": false, "a;b": false, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
	} {
		assert.Equal(t, want, dbsc.IsID(id), id)
	}
	i := dbsc.Instructions{ID: "x", RefreshURL: "/dbsc/refresh", Cookie: "__Host-session-bound", Attributes: "Path=/; Secure; HttpOnly; SameSite=Lax"}
	assert.JSONEq(t, `{"session_identifier":"x","refresh_url":"/dbsc/refresh","scope":{"include_site":false},"credentials":[{"type":"cookie",`+
		`"name":"__Host-session-bound","attributes":"Path=/; Secure; HttpOnly; SameSite=Lax"}]}`, string(i.Text()))
	i.Initiators = []string{"app.example.com"}
	assert.Contains(t, string(i.Text()), `"allowed_refresh_initiators":["app.example.com"]`)
	assert.JSONEq(t, `{"session_identifier":"x","continue":false}`, string(dbsc.End("x")))
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func keyOf(t *testing.T, k *dbsctest.Key) dbsc.Key {
	t.Helper()
	p, err := dbsc.ParseProof(k.Registration("c"))
	require.NoError(t, err)
	key, err := p.ByOwnKey()
	require.NoError(t, err)
	return key
}

func TestBindingIsKept(t *testing.T) {
	for _, k := range []*dbsctest.Key{dbsctest.NewES256(t), rsaKey()} {
		b := dbsc.New(keyOf(t, k), now)
		cookie := b.Prove(now, now.Add(5*time.Minute))
		b.Ticket = dbsc.NewTicket(now.Add(time.Minute))
		assert.NotContains(t, b.Text(), cookie, "only its hash is kept")
		read, ok := dbsc.BindingOf(b.Text())
		require.True(t, ok)
		assert.Equal(t, b.Text(), read.Text())
		assert.True(t, read.Accepts(cookie, now))
		assert.True(t, read.Ticket.Answers(b.Ticket.Challenge, now))
		p, err := dbsc.ParseProof(k.Refresh("c"))
		require.NoError(t, err)
		require.NoError(t, p.By(read.Key))
		require.Error(t, p.By(keyOf(t, dbsctest.NewES256(t))))

		bound, proved := dbsc.Describe(b.Text())
		assert.True(t, bound)
		assert.Equal(t, now, proved)
	}
}

func TestBindingIsNotMadeUp(t *testing.T) {
	b := dbsc.New(keyOf(t, dbsctest.NewES256(t)), now)
	good := b.Text()
	for _, text := range []string{
		"", `"x"`, "null", `["json",{}]`, `["json",{"id":"x"}]`, `["json",{"id":"x","key":""}]`, `["json",{"id":"x","key":"AAAA"}]`, `["json",null]`,
		strings.Replace(good, `"id":"`, `"other":"`, 1), good[:len(good)-3],
	} {
		_, ok := dbsc.BindingOf(text)
		assert.False(t, ok, text)
		assert.Equal(t, dbsc.Offer{}, dbsc.OfferOf(text), text)
	}
	bound, _ := dbsc.Describe(`"x"`)
	assert.True(t, bound, "what cannot be read is not as good as nothing")
	bound, _ = dbsc.Describe("")
	assert.False(t, bound)
	ed25519, err := base64.StdEncoding.DecodeString("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")
	require.NoError(t, err)
	_, err = x509.ParsePKIXPublicKey(ed25519)
	require.NoError(t, err)
	require.Error(t, new(dbsc.Key).UnmarshalText([]byte(base64.RawURLEncoding.EncodeToString(ed25519))))
}

func TestCookiesOfABinding(t *testing.T) {
	b := dbsc.New(keyOf(t, dbsctest.NewES256(t)), now)
	until := func(m int) time.Time { return now.Add(time.Duration(m) * time.Minute) }
	first := b.Prove(now, until(5))
	second := b.Prove(until(3), until(8))
	assert.NotEqual(t, first, second)
	assert.True(t, b.Accepts(first, until(4)), "the one before is good for as long as it would have been")
	assert.True(t, b.Accepts(second, until(4)))
	assert.False(t, b.Accepts(first, until(5)))
	assert.False(t, b.Accepts("", until(4)))
	sum := sha256.Sum256([]byte(second))
	assert.False(t, b.Accepts(base64.RawURLEncoding.EncodeToString(sum[:]), until(4)), "what is stored opens nothing")
	b.Prove(until(6), until(11))
	assert.True(t, b.Accepts(first, until(4)), "for a request that arrived then")
	for range 20 {
		b.Prove(until(6), until(11))
	}
	assert.Less(t, len(b.Text()), 2000, "those that are kept are few")
	assert.Equal(t, until(6), b.Proved)
}

func TestTickets(t *testing.T) {
	a, b := dbsc.NewTicket(now.Add(time.Minute)), dbsc.NewTicket(now.Add(time.Minute))
	assert.NotEqual(t, a.Challenge, b.Challenge)
	assert.GreaterOrEqual(t, len(a.Challenge)*5, 128)
	assert.True(t, a.Answers(a.Challenge, now))
	assert.False(t, a.Answers(b.Challenge, now))
	assert.False(t, a.Answers(a.Challenge, now.Add(time.Minute)), "too late")
	assert.False(t, dbsc.Ticket{Until: now.Add(time.Minute)}.Answers("", now))
	offer := dbsc.Offer{Ticket: a}
	assert.Equal(t, offer, dbsc.OfferOf(offer.Text()))
}

// FuzzProof: what is read is signed in one spelling only, and nothing that is not signed by
// the key counts.
func FuzzProof(f *testing.F) {
	key := dbsctest.NewES256(f)
	own, err := dbsc.ParseProof(key.Registration("c"))
	if err != nil {
		f.Fatal(err)
	}
	public, err := own.ByOwnKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{captured, capturedRefresh, "", "..", "e30.e30.AA", rsaKey().Registration("c"), dbsctest.NewES256(f).Refresh("x")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, jwt string) {
		p, err := dbsc.ParseProof(jwt)
		if err != nil {
			assert.ErrorIs(t, err, dbsc.ErrProof)
			assert.Equal(t, dbsc.Proof{}, p)
			return
		}
		assert.NotEmpty(t, p.Challenge)
		assert.LessOrEqual(t, len(jwt), dbsc.MaxProofBytes)
		assert.Error(t, p.By(public), "nobody has the key")
		for part := range strings.SplitSeq(jwt, ".") {
			b, err := base64.RawURLEncoding.DecodeString(part)
			assert.NoError(t, err)
			assert.Equal(t, part, base64.RawURLEncoding.EncodeToString(b))
		}
		if k, err := p.ByOwnKey(); err == nil {
			b := dbsc.New(k, now)
			read, ok := dbsc.BindingOf(b.Text())
			assert.True(t, ok)
			assert.NoError(t, p.By(read.Key))
		}
	})
}

// FuzzBinding: whatever stands in the store, reading it does no harm.
func FuzzBinding(f *testing.F) {
	for _, seed := range []string{"", `["json",{"id":"x","key":"AAAA","cookies":[{"h":"x"}]}]`, `["json",{"ticket":{"c":"x"}}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if b, ok := dbsc.BindingOf(text); ok {
			assert.NotEmpty(t, b.ID)
			b.Accepts("x", now)
			again, ok := dbsc.BindingOf(b.Text())
			assert.True(t, ok)
			assert.Equal(t, b.ID, again.ID)
		}
		dbsc.Describe(text)
		dbsc.OfferOf(text)
	})
}

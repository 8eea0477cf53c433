package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// A transport sends requests to a peer, one at a time, as a browser with a single
// cookie does.
type transport interface {
	// do sends a request with the cookie, and keeps the one that the answer sets.
	// The body is valid until the next call.
	do(route) (status int, body []byte, err error)

	// cookie is the name and the value as they are sent, "" for none.
	cookie() string
	setCookie(string)
}

// header is what a request has beside its cookie: what a proxy that ends TLS
// passes on from a browser.
var header = map[string]string{
	"Accept":            "text/html,application/xhtml+xml",
	"User-Agent":        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"X-Forwarded-For":   "192.0.2.1",
	"X-Forwarded-Proto": "https",
}

const host = "shop.example"

// direct calls an [http.Handler] in process. Every request is a new one to the
// handler: it has the same header fields, which handlers only read, and nothing
// else of the one before.
type direct struct {
	handler   http.Handler
	templates []http.Request
	pair      []string // of the cookie: the value of the header field
	request   http.Request
	response  recorder
}

func newDirect(handler http.Handler) *direct {
	d := &direct{handler: handler, templates: make([]http.Request, len(routes)), response: recorder{header: make(http.Header)}}
	fields := make(http.Header)
	for name, value := range header {
		fields.Set(name, value)
	}
	for i, r := range routes {
		d.templates[i] = http.Request{
			Method: r.method, URL: &url.URL{Path: r.path}, RequestURI: r.path,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: fields, Body: http.NoBody, Host: host, RemoteAddr: "192.0.2.1:1234",
		}
	}
	return d
}

func (d *direct) do(r route) (int, []byte, error) {
	d.request = d.templates[r]
	d.response.reset()
	d.handler.ServeHTTP(&d.response, &d.request)
	for _, line := range d.response.header["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		d.setCookie(pair)
	}
	return d.response.status, d.response.body, nil
}

func (d *direct) cookie() string {
	if len(d.pair) == 0 {
		return ""
	}
	return d.pair[0]
}

func (d *direct) setCookie(pair string) {
	fields := d.templates[0].Header // which all templates share
	if pair == "" {
		d.pair = nil
		delete(fields, "Cookie")
		return
	}
	if len(d.pair) == 0 {
		d.pair = make([]string, 1)
		fields["Cookie"] = d.pair
	}
	d.pair[0] = pair
}

// recorder is a response that costs next to nothing.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) reset() {
	clear(r.header)
	r.status, r.body = http.StatusOK, r.body[:0]
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// WriteString spares those the copy who write texts, as the response of net/http
// does.
func (r *recorder) WriteString(s string) (int, error) { //nolint:unparam // an io.StringWriter
	r.body = append(r.body, s...)
	return len(s), nil
}

// fast calls a handler of fasthttp in process, as [direct] does.
type fast struct {
	handler fasthttp.RequestHandler
	ctx     fasthttp.RequestCtx
	jar     string
}

func newFast(handler fasthttp.RequestHandler) *fast {
	f := &fast{handler: handler}
	f.ctx.Request.SetHost(host)
	for name, value := range header {
		f.ctx.Request.Header.Set(name, value)
	}
	return f
}

func (f *fast) do(r route) (int, []byte, error) {
	f.ctx.Request.Header.SetMethod(routes[r].method)
	f.ctx.Request.SetRequestURI(routes[r].path)
	f.ctx.Response.Reset()
	f.ctx.ResetUserValues()
	f.handler(&f.ctx)
	if pair, ok := fastCookie(&f.ctx.Response.Header, f.jar); ok {
		f.setCookie(pair)
	}
	return f.ctx.Response.StatusCode(), f.ctx.Response.Body(), nil
}

func (f *fast) cookie() string { return f.jar }

func (f *fast) setCookie(pair string) {
	f.jar = pair
	setFastCookie(&f.ctx.Request.Header, pair)
}

// fastCookie returns the cookie that a response sets, if it is another than the
// one that is held.
func fastCookie(h *fasthttp.ResponseHeader, held string) (pair string, ok bool) {
	for _, line := range h.Cookies() {
		end := len(line)
		for i, c := range line {
			if c == ';' {
				end = i
				break
			}
		}
		if string(line[:end]) != held {
			pair, ok = string(line[:end]), true
		}
	}
	return pair, ok
}

func setFastCookie(h *fasthttp.RequestHeader, pair string) {
	h.DelAllCookies()
	if name, value, ok := strings.Cut(pair, "="); ok {
		h.SetCookie(name, value)
	}
}

package sessionkit

import (
	"net/http"
	"slices"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/client"
	"github.com/gin-sessionkit/sessionkit/internal/cookie"
	"github.com/gin-sessionkit/sessionkit/internal/inside"
	"github.com/gin-sessionkit/sessionkit/internal/response"
)

// unreachable returns why a session cookie that is set by the response would not come
// back, and the remedy; "" if it will, or nothing tells. One whose browser has sent
// such a cookie before is right.
func (q *request) unreachable() string {
	switch {
	case q.bearer || q.secureCookie || q.plainCookie || inside.From(q.r.Context()) != nil:
		return ""
	case q.cookieless:
		return "the route is one of Config.CookielessRoutes, which have no session but by Config.TokenHeader: do not store anything there"
	}
	return q.kit.site.Unreachable(q.c)
}

// setCookie tells the client what became of its session, and reports whether that gives it the
// session's token. If a session that has moved has ended or got another ID since, the browser may
// have a cookie of what followed.
func (q *request) setCookie() (sent bool) {
	if q.clears {
		q.clearBrowser()
	}
	if sent = q.handle.Cookie != "" && (q.sends || q.moved() && !q.hasEndedMeanwhile()); sent {
		q.sendCookie()
	}
	q.sends = false
	return sent
}

// setsCookie reports whether a cookie is one of those of sessions.
func (k *kit) setsCookie(name string) bool {
	return name == k.site.SecureName || name == k.site.Name || k.bound != nil && name == k.bound.cookie
}

// clearBrowser tells the browser of a sign-out.
func (q *request) clearBrowser() {
	if q.bearer || q.session.ID() == "" && q.replaced() { // what the browser has is of who took its place
		return
	}
	for _, name := range []string{q.kit.site.SecureName, q.kit.site.Name} {
		if q.session.ID() == "" || name != q.kit.site.SessionName(q.r) { // else sendCookie replaces it
			q.dropCookies(name)
		}
	}
	if q.session.ID() == "" {
		q.dropBound()
	}
	if len(q.kit.ClearSiteData) > 0 {
		response.ClearSiteData(q.writer.Header(), q.kit.ClearSiteData, q.session.ID() != "")
	}
}

// dropCookies has the browser drop the session cookie of a name, if it has one. Where no session
// cookie is plain, one of the plain name is another application's.
func (q *request) dropCookies(name string) {
	if q.came(name) && (name == q.kit.site.SecureName || q.kit.site.MayBePlain(q.r)) {
		expired := q.kit.site.Session(q.r)
		if q.kit.site.Shared == nil {
			expired.Name, expired.Secure = name, expired.Secure || name == q.kit.site.SecureName
		}
		cookie.Put(q.writer.Header(), cookie.Expire(&expired))
		response.KeepFromCaches(q.writer.Header())
	}
}

// sendCookie gives the client the session's token.
func (q *request) sendCookie() {
	response.KeepFromCaches(q.writer.Header()) // RFC 6750 section 5.3
	if q.bearer {
		client.SendToken(q.kit.TokenHeader, q.writer.Header(), q.handle.Cookie)
		return
	}
	sent := q.kit.site.Session(q.r)
	sent.Value, sent.MaxAge = q.handle.Cookie, q.session.CookieAge(time.Now())
	cookie.Put(q.writer.Header(), &sent)
	if sent.Name != q.kit.site.SecureName { // that one would be read first
		q.dropCookies(q.kit.site.SecureName)
	}
	q.sendOffer()
}

// setHeader tells caches that the response is not for everybody (RFC 9111, OWASP
// ASVS 5.0 section 14.3.2).
func (q *request) setHeader() {
	if q.loaded != nil {
		q.setVary(q.writer.Header())
		if q.writer.LosesVary() {
			response.KeepFromCaches(q.writer.Header())
		}
		if q.stale {
			q.dropBound() // a browser that has the key gets another one
		}
	}
	if q.guarded && q.writer.Header().Get("Cache-Control") == "" {
		response.NoStore(q.writer.Header())
	}
}

func (q *request) setVary(header http.Header) {
	if len(header["Vary"]) == 0 {
		q.vary[0] = q.kit.varyLine
		header["Vary"] = q.vary[:] // of the request itself: nobody else's to change, and no allocation
		return
	}
	for _, field := range q.kit.vary {
		if !response.Varies(header["Vary"], field) {
			header["Vary"] = append(slices.Clip(header["Vary"]), field) // which other responses may have as well
		}
	}
}

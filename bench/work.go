package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A work is what one request does to its session.
type work string

const (
	anonymous work = "anonymous" // touches no session, and comes without a cookie
	read      work = "read"      // reads two values
	write     work = "write"     // writes one value
	update    work = "update"    // changes one value on condition that nobody else has: no other library can
	signIn    work = "sign in"   // makes a visitor's session that of a user, with a new ID
	signOut   work = "sign out"  // ends it
)

// A content is what a session holds: one of these, or the five small values and one of
// one of the [kinds], which then is the one that is read and written.
type content string

const (
	small content = "small" // five small values
	large content = "large" // the same and one of 4 kB, which is the one that is read and written
)

// typed reports whether a content is that of one of the kinds.
func (c content) typed() bool { return c != small && c != large }

// kindNames are the contents of the kinds, in the order of their routes.
var kindNames = []content{"int", "int64", "uint", "float64", "bool", "time.Time", "UUID", "struct", "list of 20 structs", "map"}

// allContents are all contents.
var allContents = append([]content{small, large}, kindNames...)

// A route is a path that every peer serves.
type route int

const (
	routeAnonymous route = iota
	routeStartSmall
	routeStartLarge
	routeReadSmall
	routeReadLarge
	routeWriteSmall
	routeWriteLarge
	routeUpdateSmall
	routeUpdateLarge
	routeSignIn
	routeSignOut
	routeUser
	firstOfKinds // three for each of the kinds: to start, to read and to write
)

type methodAndPath struct{ method, path string }

var routes = append([]methodAndPath{
	routeAnonymous:   {http.MethodGet, "/anonymous"},
	routeStartSmall:  {http.MethodPost, "/small/start"},
	routeStartLarge:  {http.MethodPost, "/large/start"},
	routeReadSmall:   {http.MethodGet, "/small/read"},
	routeReadLarge:   {http.MethodGet, "/large/read"},
	routeWriteSmall:  {http.MethodPost, "/small/write"},
	routeWriteLarge:  {http.MethodPost, "/large/write"},
	routeUpdateSmall: {http.MethodPost, "/small/update"},
	routeUpdateLarge: {http.MethodPost, "/large/update"},
	routeSignIn:      {http.MethodPost, "/login"},
	routeSignOut:     {http.MethodPost, "/logout"},
	routeUser:        {http.MethodGet, "/user"},
}, routesOfKinds()...)

func routesOfKinds() (all []methodAndPath) {
	for i := range kindNames {
		prefix := "/kind" + strconv.Itoa(i)
		all = append(all, methodAndPath{http.MethodPost, prefix + "/start"}, methodAndPath{http.MethodGet, prefix + "/read"}, methodAndPath{http.MethodPost, prefix + "/write"})
	}
	return all
}

// of returns the route of the content, given that of the small one.
func (c content) of(smallRoute route) route {
	switch c {
	case small:
		return smallRoute
	case large:
		return smallRoute + 1
	}
	first := firstOfKinds + route(3*slices.Index(kindNames, c))
	switch smallRoute { //nolint:exhaustive // there are no others
	case routeReadSmall:
		return first + 1
	case routeWriteSmall:
		return first + 2
	}
	return first
}

// The values of a session, and what the handlers of every peer answer.
const (
	valueName  = "tea"
	valueTheme = "dark"
	valueLang  = "en"
	valueToken = "2jmj7l5rSw0yVb_vlWAYkK_YBwk" // #nosec G101 -- it opens nothing
	userID     = "42"

	saidHello = "hello"
	saidNone  = "none"
	saidBye   = "bye"
)

// largeTexts are what the large value is in turn: its first eight characters tell
// which one it is.
var largeTexts = func() (texts [16]string) {
	for i := range texts {
		texts[i] = fmt.Sprintf("%08d", i) + strings.Repeat("x", 4088)
	}
	return texts
}()

// largeText returns the large value that is written as the nth.
func largeText(n int64) string { return largeTexts[n%int64(len(largeTexts))] }

// answerSmall is the body that proves which values were read or written.
func answerSmall(name string, count int) string {
	if name == "" {
		return saidNone
	}
	return name + " " + strconv.Itoa(count)
}

// answerLarge is [answerSmall] for the large value.
func answerLarge(name, text string) string {
	if name == "" || len(text) < 8 {
		return saidNone
	}
	return name + " " + text[:8]
}

package client

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// likeGin finds what is a parameter in Gin's patterns, and matches nothing but itself here.
var likeGin = regexp.MustCompile(`/[:*][^/]*`)

// likeMethod finds a method, in front of a blank: without one it is a host. In small letters
// it is that of no request.
var likeMethod = regexp.MustCompile(`^[A-Za-z]+[ \t]`)

// NewRoutes returns what finds the requests of some patterns, nil for no pattern.
func NewRoutes(patterns []string) (routes *http.ServeMux, err error) {
	if len(patterns) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	routes = http.NewServeMux()
	for _, pattern := range patterns {
		if part := likeGin.FindString(pattern); part != "" {
			return nil, fmt.Errorf("%q: %q is no parameter of http.ServeMux: write {name} for one part of a path, and a slash at the end for all that follows", pattern, part[1:])
		}
		if method := likeMethod.FindString(pattern); method != strings.ToUpper(method) {
			return nil, fmt.Errorf("%q: methods have capital letters: write %s", pattern, strings.ToUpper(strings.TrimSpace(method)))
		}
		routes.Handle(pattern, found{})
	}
	return routes, nil
}

// found is the handler of each pattern. What [http.ServeMux] would redirect there
// gets another one.
type found struct{}

func (found) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Matches reports whether a request is one of the routes.
func Matches(routes *http.ServeMux, r *http.Request) bool {
	handler, _ := routes.Handler(r)
	return handler == found{}
}

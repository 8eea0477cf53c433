package client

import (
	"fmt"
	"net/http"
)

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

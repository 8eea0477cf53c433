package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/store"
)

// scaleApp is the kit over one of its stores, with a handler that starts sessions
// of many users.
type scaleApp struct {
	handler  *gin.Engine
	request  http.Request
	response recorder
}

func newScaleApp(sessions *store.Store) *scaleApp {
	a := &scaleApp{handler: newKitRouter(sessions), response: recorder{header: make(http.Header)}}
	a.request = newDirect(nil).templates[routeStartSmall]
	a.handler.POST("/start/:user", func(c *gin.Context) {
		kitStart(c)
		sessionkit.Login(c, c.Param("user"))
		ginText(c, answerSmall(valueName, 1))
	})
	return a
}

// start starts a session of five small values and returns its cookie. The empty
// user is a visitor who is not signed in.
func (a *scaleApp) start(user string) (cookie string, err error) {
	path := routes[routeStartSmall].path
	if user != "" {
		path = "/start/" + user
	}
	r := a.request
	r.URL, r.RequestURI = &url.URL{Path: path}, path
	a.response.reset()
	a.handler.ServeHTTP(&a.response, &r)
	lines := a.response.header["Set-Cookie"]
	if a.response.status != http.StatusOK || len(lines) != 1 {
		return "", fmt.Errorf("starting a session: status %d, %d cookies", a.response.status, len(lines))
	}
	pair, _, _ := strings.Cut(lines[0], ";")
	return pair, nil
}

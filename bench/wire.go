package main

import (
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// wire sends requests over HTTP.
type wire struct {
	client   *fasthttp.HostClient
	sent     *atomic.Int64 // requests of all that share the client
	request  fasthttp.Request
	response fasthttp.Response
	jar      string
}

// newClient returns a client of the server at an address of this machine. It
// drops connections before servers do: Node.js closes them after 5 s.
func newClient(address string) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr: address, MaxConns: maxAtATime, MaxIdleConnDuration: 2 * time.Second,
		MaxConnWaitTimeout: 10 * time.Second, // while one that was idle for too long is being closed
		ReadTimeout:        10 * time.Second, WriteTimeout: 10 * time.Second,
	}
}

func newWire(client *fasthttp.HostClient, sent *atomic.Int64) *wire {
	w := &wire{client: client, sent: sent}
	w.request.SetHost(host)
	for name, value := range header {
		w.request.Header.Set(name, value)
	}
	return w
}

func (w *wire) do(r route) (int, []byte, error) {
	w.request.Header.SetMethod(routes[r].method)
	w.request.SetRequestURI("http://" + host + routes[r].path)
	w.sent.Add(1)
	if err := w.client.Do(&w.request, &w.response); err != nil {
		return 0, nil, err
	}
	if pair, ok := fastCookie(&w.response.Header, w.jar); ok {
		w.setCookie(pair)
	}
	return w.response.StatusCode(), w.response.Body(), nil
}

func (w *wire) cookie() string { return w.jar }

func (w *wire) setCookie(pair string) {
	w.jar = pair
	setFastCookie(&w.request.Header, pair)
}

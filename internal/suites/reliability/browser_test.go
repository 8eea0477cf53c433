package reliability_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// A browser sends requests with the cookies that it is told to send.
type browser struct{ http *http.Client }

// giveUp is when a browser stops waiting. No store makes it wait so long.
const giveUp = 30 * time.Second

func newBrowser(transport http.RoundTripper) browser {
	return browser{&http.Client{Transport: transport}}
}

// A response is what the application answered, or err if it did not.
type response struct {
	status int
	header http.Header
	state  state
	cookie string // the session cookie that it sets; "": none
	took   time.Duration
	err    error
}

// send makes a request to a path of the application at a URL.
func (b browser) send(site, method, path, cookie string, query ...string) response {
	ctx, cancel := context.WithTimeout(context.Background(), giveUp)
	defer cancel()
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	r, err := http.NewRequestWithContext(ctx, method, site+path+"?"+values.Encode(), http.NoBody)
	if err != nil {
		return response{err: err}
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	began := time.Now()
	res, err := b.http.Do(r)
	if err != nil {
		return response{err: err, took: time.Since(began)}
	}
	defer func() { _ = res.Body.Close() }()
	got := response{status: res.StatusCode, header: res.Header}
	err = json.NewDecoder(res.Body).Decode(&got.state)
	got.took = time.Since(began)
	if res.StatusCode == http.StatusOK && err != nil {
		got.err = err
	}
	for _, c := range res.Cookies() {
		if c.MaxAge >= 0 && c.Value != "" {
			got.cookie = c.Name + "=" + c.Value
		}
	}
	return got
}

package migrations_test

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	_ "github.com/gin-sessionkit/sessionkit"
	_ "github.com/gin-sessionkit/sessionkit/store/memstore"
	_ "github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// programs builds the programs once and returns their directory. It looks at their
// sources, and this test imports what they are made of, so that go test runs it
// again when they change.
var programs = sync.OnceValues(func() (string, error) {
	sources, err := filepath.Glob("*/main.go")
	for _, source := range sources {
		if _, err := os.ReadFile(source); err != nil {
			return "", err
		}
	}
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "migrations-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "./...").CombinedOutput()
	if err != nil {
		_, _ = os.Stderr.Write(out)
	}
	return dir, err
})

func TestMain(m *testing.M) {
	defer func() {
		if dir, err := programs(); err == nil {
			_ = os.RemoveAll(dir)
		}
	}()
	m.Run()
}

// run runs a program until the test ends, or stop is called, and returns where it
// listens.
func run(t *testing.T, program string, environ ...string) (site string, stop func()) {
	t.Helper()
	dir, err := programs()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())

	command := exec.Command(filepath.Join(dir, program))
	command.Env = append(os.Environ(), append(environ, "PORT="+port)...)
	require.NoError(t, command.Start())
	stop = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	t.Cleanup(stop)
	address := "localhost:" + port
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil
	}, time.Minute, 10*time.Millisecond, "%s to listen", program)
	return "http://" + address, stop
}

// browser is a visitor. It keeps its cookies when it goes to another site: both are
// on localhost.
type browser struct {
	t      *testing.T
	site   string
	client http.Client
}

func newBrowser(t *testing.T, site string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t: t, site: site, client: http.Client{
		Jar: jar, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type reply struct {
	status   int
	body     string
	location string // its path
}

// get asks for a page, as browsers do.
func (b *browser) get(path string) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site+path, nil)
	require.NoError(b.t, err)
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	return b.read(b.client.Do(r))
}

// post sends a form of names and values.
func (b *browser) post(path string, fields ...string) reply {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.read(b.client.PostForm(b.site+path, form))
}

func (b *browser) read(res *http.Response, err error) reply {
	b.t.Helper()
	require.NoError(b.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	r := reply{status: res.StatusCode, body: string(body)}
	if to, err := res.Location(); err == nil {
		r.location = to.Path
	}
	return r
}

// cookie reports whether the browser has a cookie.
func (b *browser) cookie(name string) bool {
	at, err := url.Parse(b.site)
	require.NoError(b.t, err)
	for _, c := range b.client.Jar.Cookies(at) {
		if c.Name == name {
			return true
		}
	}
	return false
}

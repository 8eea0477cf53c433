package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// settings are those of an application with sessions in memory.
func settings(t *testing.T, address string) main.Settings {
	t.Helper()
	return main.Settings{Address: address, Store: "memory", Secrets: filepath.Join(t.TempDir(), "key")}
}

func TestRunServesUntilToldToStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- main.Run(ctx, settings(t, "127.0.0.1:0"), in) }()

	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	site, ok := strings.CutPrefix(lines.Text(), "sessionkit example on ")
	require.True(t, ok, lines.Text())
	require.True(t, lines.Scan())
	assert.Equal(t, "accounts: alice and bob, password opensesame", lines.Text())

	b := browserOf(t, site, &http.Transport{DisableKeepAlives: true})
	assert.Equal(t, http.StatusOK, b.get("/").StatusCode)
	stop()
	assert.NoError(t, <-ended)
}

func TestRunSaysThatThePortIsTaken(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, taken.Close()) })
	err = main.Run(t.Context(), settings(t, taken.Addr().String()), io.Discard)
	require.ErrorContains(t, err, "; choose another address with -addr")
	assert.NotContains(t, err.Error(), "\n")
}

func TestRunJudgesTheConfig(t *testing.T) {
	s := settings(t, "127.0.0.1:0")
	s.Config.IdleTimeout = -time.Second
	err := main.Run(t.Context(), s, io.Discard)
	require.ErrorContains(t, err, "Config.IdleTimeout")
}

func TestAddressIsForABrowser(t *testing.T) {
	listening := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8123}
	for asked, want := range map[string]string{
		"localhost:0":  "http://localhost:8123",
		":8123":        "http://localhost:8123",
		"0.0.0.0:8123": "http://localhost:8123",
		"[::]:8123":    "http://localhost:8123",
		"[::1]:8123":   "http://[::1]:8123",
		"127.0.0.1:0":  "http://127.0.0.1:8123",
	} {
		assert.Equal(t, want, main.Address(asked, listening), asked)
	}
}

func TestRunServesTLS(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := settings(t, "127.0.0.1:0")
	s.TLS, s.Certificate = true, filepath.Join(t.TempDir(), "localhost.pem")
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- main.Run(ctx, s, in) }()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	site, ok := strings.CutPrefix(lines.Text(), "sessionkit example on ")
	require.True(t, ok, lines.Text())
	require.True(t, lines.Scan())
	require.True(t, lines.Scan())
	certificate, err := main.ReadCertificate(s.Certificate)
	require.NoError(t, err)
	assert.Equal(t, "certificate: "+main.Fingerprint(certificate), lines.Text())

	trusted := x509.NewCertPool()
	trusted.AddCert(certificate.Leaf)
	b := browserOf(t, site, &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}})
	assert.NotEmpty(t, b.signIn("alice").Header.Get("Secure-Session-Registration"))
	stop()
	assert.NoError(t, <-ended)
}

// TestPanicIsLoggedWithoutCookies also if the client is gone, when Gin's own recovery would log them.
func TestPanicIsLoggedWithoutCookies(t *testing.T) {
	var log bytes.Buffer
	logger, out := slog.Default(), gin.DefaultErrorWriter
	defer func() { slog.SetDefault(logger); gin.DefaultErrorWriter = out }()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	gin.DefaultErrorWriter = &log
	router, ok := main.NewServer(memstore.New(), sessionkit.Config{}).Handler.(*gin.Engine)
	require.True(t, ok)
	router.GET("/panic", func(*gin.Context) { panic("oops") })
	router.GET("/download", func(*gin.Context) { panic(http.ErrAbortHandler) })
	for path, said := range map[string]string{"/panic": "oops", "/download": ""} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: "the-token"})
		log.Reset()
		router.ServeHTTP(httptest.NewRecorder(), r)
		assert.Contains(t, log.String(), said)
		assert.NotContains(t, log.String(), "the-token")
	}
}

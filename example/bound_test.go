package main_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/internal/dbsctest"
)

// TestDevicesPageShowsTheBinding: a browser that registers sees it on the devices page.
func TestDevicesPageShowsTheBinding(t *testing.T) {
	server := newTestServer(t, sessionkit.Config{DeviceBound: true})
	server.StartTLS()
	t.Cleanup(server.Close)
	b := browserOf(t, server.URL, server.Client().Transport)
	offer := b.signIn("alice").Header.Get("Secure-Session-Registration")
	challenge := regexp.MustCompile(`challenge="([^"]+)"`).FindStringSubmatch(offer)
	require.NotNil(t, challenge, "%q", offer)
	assert.NotContains(t, b.get("/devices").body, "Bound to the device")

	proof := dbsctest.NewES256(t).Registration(challenge[1])
	a := b.send(http.MethodPost, "/dbsc/register", http.Header{"Secure-Session-Response": {proof}}, "")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Len(t, a.Cookies(), 1)
	assert.Contains(t, b.get("/devices").body, "Bound to the device")
	assert.Contains(t, b.get("/api/devices").body, `"bound":true`)
	events := b.get("/events").body
	assert.Contains(t, events, "The session was bound to this device")
	assert.NotContains(t, events, a.Cookies()[0].Value, "it is a secret")
}

// TestCertificate is made once, and used from then on.
func TestCertificate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "localhost.pem")
	first, err := main.ReadCertificate(name)
	require.NoError(t, err)
	require.NoError(t, first.Leaf.VerifyHostname("localhost"))
	require.NoError(t, first.Leaf.VerifyHostname("127.0.0.1"))
	assert.Greater(t, time.Until(first.Leaf.NotAfter), 80*24*time.Hour)
	second, err := main.ReadCertificate(name)
	require.NoError(t, err)
	assert.Equal(t, first.Certificate, second.Certificate)
	_, err = main.ReadCertificate(t.TempDir())
	require.ErrorContains(t, err, "-certificate: ")
}

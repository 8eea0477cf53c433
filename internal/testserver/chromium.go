package testserver

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"testing"
)

// Chromium skips the test where Chromium is not installed as chromium.
func Chromium(tb testing.TB) {
	tb.Helper()
	if _, err := find("chromium"); err != nil {
		Skip(tb, err)
	}
}

// ChromiumFlags returns with which flags a browser of the tests is started: it fetches
// nothing by itself, and accepts the certificate of httptest.
func ChromiumFlags() map[string]any {
	server := httptest.NewTLSServer(nil) // for the certificate that all such servers have
	certificate := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	server.Close()
	return map[string]any{
		"disable-gpu": true, "disable-component-update": true, "disable-quic": true,
		"ignore-certificate-errors-spki-list": base64.StdEncoding.EncodeToString(certificate[:]),
		"no-sandbox":                          os.Getuid() == 0, // it refuses to run as root otherwise
	}
}

package main_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	main "github.com/gin-sessionkit/sessionkit/example"
)

func TestBrowserNames(t *testing.T) {
	const mozilla, webkit = "Mozilla/5.0 ", " AppleWebKit/537.36 (KHTML, like Gecko) "
	for userAgent, want := range map[string]string{
		"":             "Unknown browser",
		"curl/8.5.0":   "curl",
		"Phone/1.0":    "Unknown browser",
		"Bot on Linux": "Unknown browser on Linux",
		mozilla + "(X11; Linux x86_64)" + webkit + "HeadlessChrome/156.0.0.0 Safari/537.36":                              "Chrome on Linux",
		mozilla + "(Windows NT 10.0; Win64; x64)" + webkit + "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":              "Edge on Windows",
		mozilla + "(Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                                 "Firefox on Windows",
		mozilla + "(Macintosh; Intel Mac OS X 10_15_7)" + webkit + "Version/18.5 Safari/605.1.15":                        "Safari on macOS",
		mozilla + "(iPhone; CPU iPhone OS 18_5 like Mac OS X)" + webkit + "Version/18.5 Mobile/15E148 Safari/604.1":      "Safari on iPhone",
		mozilla + "(iPad; CPU OS 18_5 like Mac OS X)" + webkit + "CriOS/140.0.0.0 Mobile/15E148 Safari/604.1":            "Chrome on iPad",
		mozilla + "(Linux; Android 15; Pixel 9)" + webkit + "Chrome/140.0.0.0 Mobile Safari/537.36":                      "Chrome on Android",
		mozilla + "(Linux; Android 15; SM-S931B)" + webkit + "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
		mozilla + "(X11; CrOS x86_64 14541.0.0)" + webkit + "Chrome/140.0.0.0 Safari/537.36":                             "Chrome on ChromeOS",
		mozilla + "(Macintosh; Intel Mac OS X 10_15_7)" + webkit + "Chrome/140.0.0.0 Safari/537.36 OPR/121.0.0.0":        "Opera on macOS",
	} {
		assert.Equal(t, want, main.BrowserName(userAgent), userAgent)
	}
}

package main

import "strings"

// browserNames and systemNames are looked for in this order: most browsers name
// others too.
var (
	browserNames = []struct{ mark, name string }{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"Chrome/", "Chrome"},
		{"CriOS/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	}
	systemNames = []struct{ mark, name string }{
		{"Windows", "Windows"},
		{"Android", "Android"},
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
	}
)

// browserName returns what people call the browser that sends this User-Agent.
func browserName(userAgent string) string {
	userAgent = strings.ReplaceAll(userAgent, "HeadlessChrome/", "Chrome/")
	name := "Unknown browser"
	for _, b := range browserNames {
		if strings.Contains(userAgent, b.mark) {
			name = b.name
			break
		}
	}
	for _, s := range systemNames {
		if strings.Contains(userAgent, s.mark) {
			return name + " on " + s.name
		}
	}
	return name
}

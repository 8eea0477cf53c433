package response

import (
	"net/http"
	"slices"
	"strings"
)

// allButCookies is what "*" of Clear-Site-Data stands for, in those browsers that know it.
var allButCookies = []string{"cache", "storage", "executionContexts", "clientHints", "prefetchCache", "prerenderCache"}

// ClearSiteData has the browser delete what directives name (W3C Clear Site Data). Chromium
// deletes the cookies that the same response sets as well. keepCookies means that one of them
// is to stay.
func ClearSiteData(header http.Header, directives []string, keepCookies bool) {
	const field = "Clear-Site-Data"
	if keepCookies {
		if slices.Contains(directives, "*") {
			directives = allButCookies
		}
		directives = slices.DeleteFunc(slices.Clone(directives), func(d string) bool { return d == "cookies" })
	}
	if header.Del(field); len(directives) > 0 {
		header.Set(field, `"`+strings.Join(directives, `", "`)+`"`)
	}
}

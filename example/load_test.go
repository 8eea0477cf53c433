package main_test

import (
	"flag"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var load = flag.Duration("load", 0, "how `long` wrk asks for each page in TestUnderLoad")

// TestUnderLoad has wrk ask for a page that reads the session and for one that
// writes it, on each store. There must be no error, the goroutines must go as they
// came, and the memory must settle. It is long, so it runs on demand, and in CI
// for 8 s a page in a step of its own:
//
//	go test ./example -run UnderLoad -v -args -load 1m
func TestUnderLoad(t *testing.T) {
	if *load == 0 {
		t.Skip("-args -load 1m runs it")
	}
	for name, store := range map[string]string{
		"memory": "memory",
		"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "sessions.db"),
		"Redis":  servers["Redis"](t),
	} {
		t.Run(name, func(t *testing.T) {
			p := startProcess(t, store, filepath.Join(t.TempDir(), "key"))
			b := browserOf(t, p.site, &http.Transport{DisableKeepAlives: true})
			cookie := b.signIn("alice").sessionCookie(t)
			require.Eventually(t, func() bool { return p.goroutines.Load() > 0 }, patience, 10*time.Millisecond)
			for _, page := range []struct{ path, what string }{{"/account", "reads"}, {"/", "writes"}} {
				before := p.goroutines.Load()
				run := exec.CommandContext(t.Context(), "wrk", "-t2", "-c64", "-d"+load.String(), "--latency",
					"-H", "Cookie: session="+cookie.Value, p.site+page.path)
				var out strings.Builder
				run.Stdout = &out
				require.NoError(t, run.Start())
				var goroutines, resident []int64
				for range 4 {
					time.Sleep(*load/4 - 50*time.Millisecond)
					goroutines = append(goroutines, p.goroutines.Load())
					resident = append(resident, p.resident(t))
				}
				require.NoError(t, run.Wait())
				assert.NotContains(t, out.String(), "Socket errors")
				assert.NotContains(t, out.String(), "Non-2xx")
				// A store may have opened a few connections that it keeps.
				assert.Eventually(t, func() bool { return p.goroutines.Load() <= before+8 }, patience, 100*time.Millisecond,
					"goroutines are left over")
				assert.LessOrEqual(t, resident[3], resident[0]*5/4+8<<10, "KiB of memory at each quarter: %v", resident)
				t.Logf("%s %s: %s\n\tgoroutines before %d, at each quarter %v, after %d\n\tresident KiB at each quarter %v",
					page.path, page.what, figures(out.String()), before, goroutines, p.goroutines.Load(), resident)
			}
		})
	}
}

// figures picks what matters from the report of wrk.
func figures(report string) string {
	return strings.Join(regexp.MustCompile(`(?m)(\d+ requests in .*|Requests/sec:.*|(?:50|99)%  .*)$`).FindAllString(report, -1), ", ")
}

package ginstores_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit"
	"github.com/gin-sessionkit/sessionkit/internal/kittest"
	"github.com/gin-sessionkit/sessionkit/internal/suites/teststores"
)

// The cells of the table in docs/stores.md.
const (
	held      = "held"
	heldByKit = "held by sessionkit"
	beyond    = "beyond that store"
)

// rules are the rows of the table in docs/stores.md, by their numbers there. alone
// tries whether a store of gin-contrib keeps the rule without the middleware; nil: it does
// not, for gin-contrib/sessions leaves it to the handlers or knows nothing of it.
var rules = map[string]struct {
	check  func(t *testing.T, s kittest.Tested) broken
	alone  func(t *testing.T, s kittest.Tested) broken
	faults bool // it needs a store that can be made to fail
}{
	"1":  {check: savedBeforeTheFirstByte},
	"2":  {check: nothingChanged},
	"3":  {check: failedSave, faults: true},
	"4":  {check: failedLoad, alone: nothingToReach, faults: true},
	"5":  {check: panicSavesNothing},
	"6":  {check: changeAfterTheHeader},
	"7":  {check: parallelRequests},
	"8":  {check: logoutWins, alone: logoutWinsAlone},
	"9":  {check: dataRaces, alone: dataRaces},
	"11": {check: foreignIDs},
	"12": {check: deadlines},
	"13": {check: cookieAttributes},
	"14": {check: crossOrigin},
	"15": {check: sealedCookies},
	"16": {check: cacheHeaders},
	"17": {check: hostileInput, faults: true},
	"20": {check: oneStep},
}

// TestStoresTable tries each cell of the table in docs/stores.md: what it says is
// held is, and what it says is beyond a store is not held there.
func TestStoresTable(t *testing.T) {
	table := readStoresTable(t)
	require.Len(t, table, len(rules), "each rule has a row")
	for _, kind := range teststores.TestedStores {
		t.Run(kind.Name, func(t *testing.T) {
			for number, rule := range rules {
				if number == "9" && !kittest.RaceEnabled {
					continue // seen by the race detector alone
				}
				t.Run(number, func(t *testing.T) {
					newStore := kind.New
					if rule.faults {
						newStore = kind.Failing
					}
					got, how := held, rule.check(t, newStore(t))
					if len(how) > 0 {
						got = beyond
					} else if kind.Name != "sessionkit" && (rule.alone == nil || len(rule.alone(t, newStore(t))) > 0) {
						got = heldByKit
					}
					require.Contains(t, table, number)
					assert.Equal(t, table[number][kind.Name], got, "docs/stores.md and what the test found: %s", how)
				})
			}
		})
	}
}

var footnote = regexp.MustCompile(`\[\^\w+\]`)

// readStoresTable returns the cells of the table by rule and store.
func readStoresTable(t *testing.T) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/stores.md")
	require.NoError(t, err)
	table := make(map[string]map[string]string)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		number, _, ok := strings.Cut(strings.TrimSpace(cells[0]), ". ")
		if !strings.HasPrefix(line, "|") || !ok {
			if strings.HasPrefix(line, "| |") {
				require.Len(t, cells, len(teststores.TestedStores)+1)
				for i, kind := range teststores.TestedStores {
					require.Contains(t, cells[i+1], kind.Name, "the stores stand in the order of testedStores")
				}
			}
			continue
		}
		require.Len(t, cells, len(teststores.TestedStores)+1, line)
		table[number] = make(map[string]string)
		for i, kind := range teststores.TestedStores {
			table[number][kind.Name] = strings.TrimSpace(footnote.ReplaceAllString(cells[i+1], ""))
		}
	}
	return table
}

// dataRaces tries in a process of its own, which a data race ends.
func dataRaces(t *testing.T, _ kittest.Tested) (b broken) {
	t.Helper()
	kind := t.Name()[strings.Index(t.Name(), "/")+1 : strings.LastIndex(t.Name(), "/")]
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program, "-test.run", "^TestHitFromManyGoroutinesAtOnce$/^"+kind+"$", "-test.count=1")
	command.Env = append(os.Environ(), kittest.RaceTest+"=1")
	out, err := command.CombinedOutput()
	b.unless(!strings.Contains(string(out), "DATA RACE"), "the race detector saw a data race")
	if len(b) == 0 {
		require.NoError(t, err, "%s", out)
	}
	return b
}

// TestHitFromManyGoroutinesAtOnce is for the race detector: requests of one
// session over each store, with the middleware and with gin-contrib/sessions alone.
func TestHitFromManyGoroutinesAtOnce(t *testing.T) {
	teststores.EachStore(t, func(t *testing.T, s sessions.Store) {
		t.Helper()
		alone := gin.New()
		alone.Use(sessions.Sessions(kittest.SessionCookie, s))
		alone.GET("/login", func(c *gin.Context) {
			sessions.Default(c).Set("user", "42")
			assert.NoError(t, sessions.Default(c).Save())
		})
		alone.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "%v", sessions.Default(c).Get("user")) })
		for _, handler := range []http.Handler{kittest.NewRulesSite(s, sessionkit.Config{}), alone} {
			v := kittest.NewBrowser(t, handler)
			v.Get("/login")
			var done sync.WaitGroup
			for i := range 8 {
				other := v.Fork()
				done.Go(func() {
					for range 5 {
						assert.Equal(t, "42", other.Get("/").Body.String(), fmt.Sprint(i))
					}
				})
			}
			done.Wait()
		}
	})
}

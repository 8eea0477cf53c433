package reliability_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables of docs/reliability.md")

const document = "../../docs/reliability.md"

// An outcome is what a fault did to a store.
type outcome struct {
	fault, store              string
	during                    answers // none: there was no time at which one kind of request always met the fault
	findings                  map[finding][]string
	acknowledged, unavailable int64
	slowest                   time.Duration
	struck, recovered         time.Duration
}

// report compares the outcomes with the table in the document, or writes it.
func report(t *testing.T, outcomes []outcome) {
	t.Helper()
	all := 0
	for _, f := range faults {
		all += len(f.stores)
	}
	if len(outcomes) < all {
		t.Logf("the document is not compared: %d of %d faults happened", len(outcomes), all)
		return
	}
	order := func(name string) int { return slices.IndexFunc(faults, func(f fault) bool { return f.name == name }) }
	slices.SortFunc(outcomes, func(a, b outcome) int {
		return cmp.Or(cmp.Compare(order(a.fault), order(b.fault)), cmp.Compare(slices.Index(stores, a.store), slices.Index(stores, b.store)))
	})
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(content), "<!-- outcomes -->\n")
	require.True(t, ok, "the document has a place for the outcomes")
	found, rest, ok := strings.Cut(rest, "<!-- figures -->\n")
	require.True(t, ok, "the document has a place for the figures")
	_, after, ok := strings.Cut(rest, "<!-- end -->\n")
	require.True(t, ok, "the document says where the figures end")
	if !*update {
		assert.Equal(t, found, outcomeTable(outcomes), "go test ./internal/reliability -run TestFaults -update writes it")
		return
	}
	content = []byte(before + "<!-- outcomes -->\n" + outcomeTable(outcomes) + "<!-- figures -->\n" + figureTable(outcomes) + "<!-- end -->\n" + after)
	require.NoError(t, os.WriteFile(document, content, 0o600))
}

// outcomeTable is what every run comes to.
func outcomeTable(outcomes []outcome) string {
	var b strings.Builder
	b.WriteString("\n| fault | store | read | write | sign-in | sign-out | lost | revived | signed out | false success |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range outcomes {
		d := o.during
		if d == (answers{}) {
			d = answers{"some 503", "some 503", "some 503", "some 503"}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d | %d | %d | %d |\n", o.fault, o.store, d.read, d.write, d.signIn, d.signOut,
			len(o.findings[lost]), len(o.findings[revived]), len(o.findings[signedOut]), len(o.findings[unsaved]))
	}
	b.WriteString("\n")
	return b.String()
}

// figureTable is what one run came to.
func figureTable(outcomes []outcome) string {
	var b strings.Builder
	b.WriteString("\n| fault | store | it lasted | acknowledged | not served | slowest answer | all served again after |\n|---|---|---|---|---|---|---|\n")
	for _, o := range outcomes {
		fmt.Fprintf(&b, "| %s | %s | %v | %d | %d | %v | %v |\n", o.fault, o.store,
			o.struck.Round(10*time.Millisecond), o.acknowledged, o.unavailable,
			o.slowest.Round(time.Millisecond), o.recovered.Round(time.Millisecond))
	}
	b.WriteString("\n")
	return b.String()
}

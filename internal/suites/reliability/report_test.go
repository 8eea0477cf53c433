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

const document = "../../../docs/reliability.md"

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
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, place := strings.Cut(string(content), "<!-- outcomes -->\n")
	table, rest, ends := strings.Cut(rest, "<!-- figures -->\n")
	_, after, done := strings.Cut(rest, "<!-- end -->\n")
	require.True(t, place && ends && done, "the document says where the tables are")
	slices.SortFunc(outcomes, func(a, b outcome) int {
		return cmp.Or(cmp.Compare(a.place(), b.place()), cmp.Compare(slices.Index(stores, a.store), slices.Index(stores, b.store)))
	})
	if !*update {
		for _, o := range outcomes {
			assert.Contains(t, table, o.row(), "go test ./internal/suites/reliability -run TestFaults -update writes it")
		}
		if len(outcomes) == all {
			assert.Equal(t, table, outcomeTable(outcomes))
		}
		return
	}
	require.Len(t, outcomes, all, "all faults must happen")
	content = []byte(before + "<!-- outcomes -->\n" + outcomeTable(outcomes) + "<!-- figures -->\n" + figureTable(outcomes) + "<!-- end -->\n" + after)
	require.NoError(t, os.WriteFile(document, content, 0o600))
}

// place is the fault's in the table.
func (o outcome) place() int {
	return slices.IndexFunc(faults, func(f fault) bool { return f.name == o.fault })
}

// row is what every run comes to.
func (o outcome) row() string {
	d := o.during
	if d == (answers{}) {
		d = answers{"some 503", "some 503", "some 503", "some 503"}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %d | %d | %d | %d |\n", o.fault, o.store, d.read, d.write, d.signIn, d.signOut,
		len(o.findings[lost]), len(o.findings[revived]), len(o.findings[signedOut]), len(o.findings[unsaved]))
}

func outcomeTable(outcomes []outcome) string {
	var b strings.Builder
	b.WriteString("\n| fault | store | read | write | sign-in | sign-out | lost | revived | signed out | false success |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range outcomes {
		b.WriteString(o.row())
	}
	b.WriteString("\n")
	return b.String()
}

// figureTable is what one run came to.
func figureTable(outcomes []outcome) string {
	var b strings.Builder
	b.WriteString("\nThe figures of one run, which differ from run to run:\n\n| fault | store | it lasted | acknowledged | not served | slowest answer | all served again after |\n|---|---|---|---|---|---|---|\n")
	for _, o := range outcomes {
		fmt.Fprintf(&b, "| %s | %s | %v | %d | %d | %v | %v |\n", o.fault, o.store,
			o.struck.Round(10*time.Millisecond), o.acknowledged, o.unavailable,
			o.slowest.Round(time.Millisecond), o.recovered.Round(time.Millisecond))
	}
	b.WriteString("\n")
	return b.String()
}

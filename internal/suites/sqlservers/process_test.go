package sqlservers_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

const (
	childFile = "SQLSTORE_TEST_CHILD_FILE" // tells a process of this binary what file to write to
	childName = "SQLSTORE_TEST_CHILD_NAME"
	childLoop = "SQLSTORE_TEST_CHILD_UPDATES" // how many it makes
)

// sharedID is the session that all processes change.
var sharedID, _ = store.ID(strings.Repeat("s", 43))

// child is another process of the application. It sets one key after the other,
// and writes each that was acknowledged.
func child(file string) {
	if err := childRun(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childRun(file string) error {
	db, err := sqlstore.OpenSQLite(file)
	if err != nil {
		return err
	}
	b, err := sqlstore.NewBackend(db)
	if err != nil {
		return err
	}
	// Whoever comes first creates it.
	if _, err := b.Create(context.Background(), sharedID, record("alice", nil)); err != nil {
		return err
	}
	updates, err := strconv.Atoi(os.Getenv(childLoop))
	if err != nil {
		return err
	}
	for i := range updates {
		key := fmt.Sprintf("%s-%d", os.Getenv(childName), i)
		found, err := changed(b.Update(context.Background(), sharedID, store.Change{Set: map[string]string{key: fmt.Sprint(i)}}))
		if err != nil || !found {
			return fmt.Errorf("update of %s: %v, %w", key, found, err)
		}
		fmt.Println(key)
	}
	if err := b.Close(); err != nil {
		return err
	}
	return db.Close()
}

func childCommand(t *testing.T, file, name string, updates int) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0]) // #nosec G204 G702 -- this test
	c.Env = append(os.Environ(), childFile+"="+file, childName+"="+name, childLoop+"="+strconv.Itoa(updates))
	return c
}

func TestProcessesLoseNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	const processes, updates = 4, 60
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			out, err := childCommand(t, file, fmt.Sprint(i), updates).CombinedOutput()
			assert.NoError(t, err, "processes that start at once on no file: %s", out)
		})
	}
	all.Wait()
	b, err := sqlstore.NewBackend(openSQLite(t, file))
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	r, found, err := b.Load(t.Context(), sharedID)
	require.NoError(t, err)
	require.True(t, found)
	assert.Len(t, r.Values, processes*updates, "each update of each process stands")
}

func TestKilledProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	c := childCommand(t, file, "killed", 1_000_000)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	var acknowledged []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acknowledged = append(acknowledged, lines.Text()); len(acknowledged) == 30 {
			require.NoError(t, c.Process.Kill())
		}
	}
	assert.Error(t, c.Wait())

	b, err := sqlstore.NewBackend(openSQLite(t, file))
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	r, found, err := b.Load(t.Context(), sharedID)
	require.NoError(t, err)
	require.True(t, found)
	for _, key := range acknowledged {
		assert.Contains(t, r.Values, key, "what was acknowledged before the process was killed stands")
	}
	updated, err := changed(b.Update(t.Context(), sharedID, store.Change{Set: map[string]string{"after": `1`}}))
	require.NoError(t, err)
	assert.True(t, updated, "a killed process leaves no lock")
}

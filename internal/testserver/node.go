package testserver

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Node installs the Node.js packages that a directory's package-lock.json names,
// runs its app.js, and returns the URL that this writes once it listens. It ends
// with the test. The test is skipped where node or npm is not installed, or the
// packages cannot be had. environ is added to its environment.
func Node(tb testing.TB, dir string, environ ...string) string {
	tb.Helper()
	node, err := find("node")
	if err != nil {
		Skip(tb, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "app.js")); err != nil { // also so that go test runs again when it changes
		tb.Fatal(err)
	}
	modules, err := nodeModules(dir)
	if err != nil {
		Skip(tb, err)
	}
	command := exec.CommandContext(context.Background(), node, "app.js") // #nosec G204 -- a program of this package's choice
	command.Dir = dir
	command.Env = append(append(os.Environ(), "NODE_PATH="+modules, "NODE_ENV=test"), environ...)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatalf("starting node: %v", err)
	}
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatalf("node ended before it listened: %v", err)
	}
	return strings.TrimSpace(line)
}

// nodeModules returns the directory of the installed packages. They are installed
// once for each package-lock.json.
func nodeModules(dir string) (string, error) {
	npm, err := find("npm")
	if err != nil {
		return "", err
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json")) // #nosec G304 -- of the tests' own directories
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "sessionkit-tests")
	sum := sha256.Sum256(lock)
	installed := filepath.Join(cache, "node-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(installed); err == nil { // #nosec G703 -- in the user's own cache
		return filepath.Join(installed, "node_modules"), nil
	}
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := os.CopyFS(fresh, os.DirFS(dir)); err != nil {
		return "", err
	}
	command := exec.CommandContext(context.Background(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund") // #nosec G204 -- a program of this package's choice
	command.Dir = fresh
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	err = os.Rename(fresh, installed)                     // #nosec G703 -- in the user's own cache
	if _, statErr := os.Stat(installed); statErr != nil { // #nosec G703 -- another test may have been faster
		return "", err
	}
	return filepath.Join(installed, "node_modules"), nil
}

// NodeScript runs a script of Node.js that needs no package, and returns what it
// writes. The test is skipped where node is not installed.
func NodeScript(tb testing.TB, script string, input io.Reader) []byte {
	tb.Helper()
	node, err := find("node")
	if err != nil {
		Skip(tb, err)
	}
	command := exec.CommandContext(tb.Context(), node, "-e", script) // #nosec G204 -- a program of the test's choice
	command.Stdin, command.Stderr = input, os.Stderr
	out, err := command.Output()
	if err != nil {
		tb.Fatalf("running a script of node: %v", err)
	}
	return out
}

package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/example"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// storeVariable makes the test binary run the application, on the store that it
// names, and secretsVariable names the file with the secrets.
const (
	storeVariable   = "EXAMPLE_STORE"
	secretsVariable = "EXAMPLE_SECRETS"
	modeVariable    = "EXAMPLE_GIN_MODE" // gin's; not set: that of tests
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	accounts = main.CheapenPasswords()
	if store := os.Getenv(storeVariable); store != "" {
		if mode := os.Getenv(modeVariable); mode != "" {
			gin.SetMode(mode)
		}
		go tellGoroutines(os.Stdout)
		if err := main.Run(context.Background(), main.Settings{Address: "127.0.0.1:0", Store: store, Secrets: os.Getenv(secretsVariable)}, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	defer func() { stopChromium() }()
	testserver.Main(m)
}

// tellGoroutines writes how many goroutines run, for the parent process.
func tellGoroutines(out io.Writer) {
	for range time.Tick(100 * time.Millisecond) {
		_, _ = fmt.Fprintln(out, goroutinesAre, runtime.NumGoroutine())
	}
}

const goroutinesAre = "goroutines:"

// site returns the address that the application writes when it serves.
func site(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if site, ok := strings.CutPrefix(lines.Text(), "sessionkit example on "); ok {
			return site
		}
	}
	require.Fail(t, "the application ended before it served")
	return ""
}

// startProcess runs the application in a process of its own.
func startProcess(t *testing.T, store, secrets string, environ ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), storeVariable+"="+store, secretsVariable+"="+secrets)
	command.Env = append(command.Env, environ...)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Wait() }) // it was killed
	lines := bufio.NewScanner(out)
	p := &process{site: site(t, lines), command: command}
	go p.listen(lines) // what is not read would block it
	return p
}

// process is the application in a process of its own.
type process struct {
	site       string
	command    *exec.Cmd
	goroutines atomic.Int64
}

// listen reads what the process writes.
func (p *process) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), goroutinesAre+" "); ok {
			count, _ := strconv.ParseInt(n, 10, 64)
			p.goroutines.Store(count)
		}
	}
}

// resident returns the resident memory in KiB.
func (p *process) resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), "status"))
	require.NoError(t, err)
	size := regexp.MustCompile(`VmRSS:\s+(\d+)`).FindSubmatch(status)
	require.NotNil(t, size)
	n, err := strconv.ParseInt(string(size[1]), 10, 64)
	require.NoError(t, err)
	return n
}

package reliability_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The environment of a process of this binary that runs the application.
const (
	nodeStore   = "RELIABILITY_NODE_STORE" // the name of the store
	nodeDSN     = "RELIABILITY_NODE_DSN"
	nodeAddress = "RELIABILITY_NODE_ADDRESS" // to listen on
)

// runNode runs the application until its parent closes its standard input, or
// ends.
func runNode() {
	if err := serveNode(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveNode() error {
	o, err := open(os.Getenv(nodeStore), os.Getenv(nodeDSN), defaultTimeout, nil)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", os.Getenv(nodeAddress))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newApp(o.store), ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	fmt.Println(l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return o.close()
}

// A node is a process that runs the application.
type node struct {
	t           *testing.T
	store, dsn  string
	address     string
	command     *exec.Cmd
	standardIn  io.Closer
	standardOut io.Reader
}

// startNode starts the application as a process, which ends with the test.
func startNode(t *testing.T, store, dsn string) *node {
	t.Helper()
	n := &node{t: t, store: store, dsn: dsn, address: "127.0.0.1:0"}
	n.Restart()
	t.Cleanup(func() {
		_ = n.standardIn.Close()
		_ = n.command.Wait()
	})
	return n
}

// Restart starts the process again after Kill, at the same address.
func (n *node) Restart() {
	n.t.Helper()
	n.command = exec.CommandContext(context.Background(), os.Args[0]) // #nosec G204 G702 -- this test
	n.command.Env = append(os.Environ(), nodeStore+"="+n.store, nodeDSN+"="+n.dsn, nodeAddress+"="+n.address)
	n.command.Stderr = os.Stderr
	var err error
	n.standardIn, err = n.command.StdinPipe()
	require.NoError(n.t, err)
	n.standardOut, err = n.command.StdoutPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, n.command.Start())
	lines := bufio.NewScanner(n.standardOut)
	require.True(n.t, lines.Scan(), "the application did not start")
	n.address = lines.Text()
}

// Kill ends the process as kill -9 does.
func (n *node) Kill() {
	_ = n.command.Process.Kill()
	_ = n.command.Wait()
}

func (n *node) url() string { return "http://" + n.address }

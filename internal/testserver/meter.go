package testserver

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A Meter stands between a client and a server and counts round trips: how often
// a client sends something and then waits. What it sends in several pieces before
// an answer comes is one. It also counts the bytes of the answers.
type Meter struct {
	Address  string // where the client connects to
	trips    atomic.Int64
	received atomic.Int64
	ignore   func([]byte) bool
}

// NewMeter returns a Meter in front of a server. It does not count what ignore
// reports true of. It ends with the test.
func NewMeter(tb testing.TB, network, server string, ignore func([]byte) bool) *Meter {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	m := &Meter{Address: l.Addr().String(), ignore: ignore}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			connections.Go(func() { m.pass(client, network, server) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		connections.Wait() // the client has been closed by a later Cleanup
	})
	return m
}

// Trips returns how many round trips there were since it was last asked.
func (m *Meter) Trips() int { return int(m.trips.Swap(0)) }

// Received returns how many bytes the client has received since it was last asked.
func (m *Meter) Received() int { return int(m.received.Swap(0)) }

func (m *Meter) pass(client net.Conn, network, address string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), network, address)
	if err != nil {
		return
	}
	var waiting atomic.Bool // the client waits for an answer
	go func() {
		defer func() { _ = client.Close() }()
		copyPieces(client, server, func(piece []byte) {
			m.received.Add(int64(len(piece)))
			waiting.Store(false)
		})
	}()
	copyPieces(server, client, func(piece []byte) {
		if !m.ignore(piece) && !waiting.Swap(true) {
			m.trips.Add(1)
		}
	})
	_ = server.Close()
}

// copyPieces passes on what comes, and shows each piece before.
func copyPieces(to, from net.Conn, show func([]byte)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			show(buffer[:n])
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

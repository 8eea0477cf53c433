package reliability_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A proxy passes bytes on to a server, less what is done to them.
type proxy struct {
	listener        net.Listener
	network, server string
	trouble         atomic.Pointer[trouble]
	cuts            atomic.Int64 // connections that were cut
	running         sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// trouble is asked for each n bytes that come: how many of them to pass on, and
// when. Fewer than n: the connection ends with them.
type trouble func(n int) (int, time.Duration)

func newProxy(t *testing.T, network, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, network: network, server: server, open: make(map[net.Conn]struct{})}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// disturb makes trouble for all connections, nil none.
func (p *proxy) disturb(f trouble) {
	if f == nil {
		p.trouble.Store(nil)
		return
	}
	p.trouble.Store(&f)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.network, p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		end := sync.OnceFunc(func() { p.end(client, server) })
		p.running.Go(func() { p.pass(client, server, end) })
		p.running.Go(func() { p.pass(server, client, end) })
	}
}

// pass passes bytes on in one direction.
func (p *proxy) pass(from, to net.Conn, end func()) {
	defer end()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		keep := n
		if f := p.trouble.Load(); f != nil {
			var wait time.Duration
			keep, wait = (*f)(n)
			time.Sleep(wait)
		}
		if _, err := to.Write(buffer[:keep]); err != nil {
			return
		}
		if keep < n {
			p.cuts.Add(1)
			return
		}
	}
}

// end ends a connection without a word.
func (p *proxy) end(conns ...net.Conn) {
	for _, c := range conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

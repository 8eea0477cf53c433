package redisstore

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// A following is the client of a single server whose name may lead to another server by
// now. After a planned failover the server that was the master is a replica: it keeps its
// connections, and refuses every write on them. Nothing has the client connect anew, so
// that it would be refused for ever.
//
// If a write is refused so, or All finds no master, one more connection is made. If
// it leads to a master, all others are closed, that of the cache among them, and the client
// makes new ones. If not, they stay: a replica answers reads.
//
// The client's ConnLifetime would do that too. But what a slow server has not answered when
// the life of a connection ends is sent again on the next one, and may be carried out twice.
type following struct {
	rueidis.Client

	option rueidis.ClientOption
	looks  sync.WaitGroup

	mu     sync.Mutex
	links  map[*link]struct{}
	looked time.Time // when it was last asked where the name leads
	closed bool
}

// lookAgain is how long it is not asked again where the name leads.
const lookAgain = time.Second

// A link is a connection of the client.
type link struct {
	net.Conn

	f *following
}

func (l *link) Close() error {
	l.f.mu.Lock()
	delete(l.f.links, l)
	l.f.mu.Unlock()
	return l.Conn.Close()
}

// connect returns a client that follows the name of its server, if it is a single one. The
// clients of Sentinel and Cluster are told of a new master.
func connect(option rueidis.ClientOption) (rueidis.Client, error) {
	f := &following{option: option, links: make(map[*link]struct{})}
	option.DialCtxFn = f.dial
	client, err := rueidis.NewClient(option)
	if err != nil || client.Mode() != rueidis.ClientModeStandalone {
		return client, err
	}
	f.Client = client
	return f, nil
}

func (f *following) dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (conn net.Conn, err error) {
	switch {
	case f.option.DialCtxFn != nil: // a Unix socket
		conn, err = f.option.DialCtxFn(ctx, address, dialer, config)
	case config != nil:
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
	default:
		conn, err = dialer.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err
	}
	l := &link{conn, f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.links[l] = struct{}{}
	return l, nil
}

func (f *following) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	reply := f.Client.Do(ctx, command)
	f.judge(reply) //nolint:contextcheck // what follows is for all commands
	return reply
}

func (f *following) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	replies := f.Client.DoMulti(ctx, commands...)
	f.judge(replies...) //nolint:contextcheck // as above
	return replies
}

func (f *following) judge(replies ...rueidis.RedisResult) {
	for _, reply := range replies {
		if refusesWrites(reply.Error()) {
			f.look()
			return
		}
	}
}

// refusesWrites reports whether an error is that of a server which is a replica.
func refusesWrites(err error) bool {
	refusal, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(refusal.Error(), "READONLY")
}

// look closes the connections if new ones lead to a master.
func (f *following) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || time.Since(f.looked) < lookAgain {
		return
	}
	f.looked = time.Now()
	links := slices.Collect(maps.Keys(f.links))
	f.looks.Go(func() {
		if !f.leadsToMaster() {
			return
		}
		for _, l := range links {
			_ = l.Close() // what waits on it would be refused as well
		}
	})
}

func (f *following) leadsToMaster() bool {
	option := f.option
	option.ForceSingleClient = true
	option.Dialer.Timeout, option.ConnWriteTimeout = lease, lease
	client, err := rueidis.NewClient(option)
	if err != nil {
		return false
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), lease)
	defer cancel()
	hello, err := client.Do(ctx, client.B().Hello().Build()).AsMap()
	role := hello["role"]
	text, _ := role.ToString()
	return err == nil && text == "master"
}

func (f *following) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Client.Close()
	f.looks.Wait()
}

package redisstore

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// batching is a client that bounds how long a command takes, and that sends in one
// go what goroutines ask at the same time: the system calls and the switches
// between goroutines that each command costs by itself are most of what a busy
// process does. A command that is alone is sent alone, and at once.
type batching struct {
	rueidis.Client

	timeout       time.Duration // negative: none
	alone         bool          // every command is sent alone
	reads, writes batch         // apart, as the client repeats a batch only if it may repeat all of it
	calls         sync.Pool     // of *call
}

// maxBatch is the most commands that are sent in one go.
const maxBatch = 64

// A batch is the commands that are about to be sent.
type batch struct {
	mu    sync.Mutex
	calls []*call
}

type call struct {
	command rueidis.Completed
	reply   chan rueidis.RedisResult
}

func newBatching(client rueidis.Client, timeout time.Duration) *batching {
	return &batching{
		Client: client, timeout: timeout,
		// Its commands go to several nodes, one of which would hold up the others.
		alone: client.Mode() == rueidis.ClientModeCluster,
		calls: sync.Pool{New: func() any { return &call{reply: make(chan rueidis.RedisResult, 1)} }},
	}
}

func (b *batching) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	if err := ctx.Err(); err != nil {
		return rueidis.NewErrorResult(err)
	}
	c, _ := b.calls.Get().(*call)
	c.command = command
	if calls := b.collect(c); len(calls) > 0 {
		// Not in this goroutine: a client that has no other command waits for the
		// answer without a look at ctx.
		go b.send(calls) //nolint:gosec,contextcheck // ctx is that of one of many
	}
	select {
	case reply := <-c.reply:
		b.calls.Put(c)
		return reply
	case <-ctx.Done():
		return rueidis.NewErrorResult(ctx.Err())
	}
}

// collect returns the calls that the caller is to send, if any.
func (b *batching) collect(c *call) []*call {
	if b.alone {
		return []*call{c}
	}
	collecting := &b.writes
	if c.command.IsReadOnly() {
		collecting = &b.reads
	}
	full, first := collecting.add(c)
	if !first {
		return full
	}
	runtime.Gosched() // others that are ready to run may be about to ask as well
	return collecting.take()
}

// add reports whether the call is the first of a batch, which its caller must take.
// A batch that is full it returns.
func (b *batch) add(c *call) (full []*call, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, c)
	if len(b.calls) == maxBatch {
		return b.empty(), false
	}
	return nil, len(b.calls) == 1
}

// take returns the calls that are left. They need not include the caller's: a batch
// that became full was sent already.
func (b *batch) take() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.empty()
}

func (b *batch) empty() []*call {
	calls := b.calls
	b.calls = make([]*call, 0, len(calls)) // the next one is likely to be as large
	return calls
}

// send has a context of its own: none of those who wait may end the others' wait.
func (b *batching) send(calls []*call) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if b.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, b.timeout)
	}
	defer cancel()
	if len(calls) == 1 {
		calls[0].reply <- b.Client.Do(ctx, calls[0].command)
		return
	}
	commands := make([]rueidis.Completed, len(calls))
	for i, c := range calls {
		commands[i] = c.command
	}
	for i, reply := range b.DoMulti(ctx, commands...) {
		calls[i].reply <- reply
	}
}

package redisstore

import (
	"context"
	"runtime"
	"sync"

	"github.com/redis/rueidis"
)

// batching is a client that sends in one go what goroutines ask at the same time:
// the system calls and the switches between goroutines that each command costs by
// itself are most of what a busy process does. A command that is alone is sent
// alone, and at once.
//
// It is for commands that may be executed twice only: a client that is redirected
// repeats the whole batch, also what the server before had done of it.
type batching struct {
	*bounded

	reads, writes batch // apart, as a client repeats after a failure what only reads
}

// maxBatch is the most commands that are sent in one go.
const maxBatch = 64

// A batch is the calls that are about to be sent.
type batch struct {
	mu    sync.Mutex
	calls []*call
}

func (b *batching) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	if err := ctx.Err(); err != nil {
		return rueidis.NewErrorResult(err)
	}
	defer b.leave()
	if b.enter(ctx) {
		return b.doAlone(ctx, command)
	}
	c := b.call(command)
	collecting := &b.writes
	if command.IsReadOnly() {
		collecting = &b.reads
	}
	if calls := collecting.collect(c); len(calls) > 0 {
		b.send(ctx, calls)
	}
	return b.wait(ctx, c)
}

// collect returns the calls that the caller is to send, if any.
func (b *batch) collect(c *call) []*call {
	full, first := b.add(c)
	if !first {
		return full
	}
	runtime.Gosched() // others that are ready to run may be about to ask as well
	return b.take()
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

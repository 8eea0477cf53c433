package redisstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// bounded is a client whose commands end with their context, and in time, whatever
// the client below does: that one may wait for a connection that hangs, or for room
// in the queue of one, without a look at the context. So a command goes out in a
// goroutine of its own, and what is late is nobody's any more.
//
// That costs two changes of goroutines, and those of the client's pipeline come on top:
// more than the server takes for a command. So a command that is alone, as when requests
// come one at a time, is carried out by its caller, on a connection of the client's
// blocking pool, whose deadline is set to the timeout. That needs a client of the store's
// own: another might have no connection left there.
type bounded struct {
	rueidis.Client

	owned   bool
	timeout time.Duration // negative: none
	under   atomic.Int64  // commands under way
	calls   sync.Pool     // of *call
	sending atomic.Int64  // goroutines
	idle    chan struct{} // holds something once none was left
}

type call struct {
	command rueidis.Completed
	reply   chan rueidis.RedisResult
	late    *time.Timer
}

var errPanicked = errors.New("the client panicked")

func newBounded(client rueidis.Client, owned bool, timeout time.Duration) *bounded {
	return &bounded{Client: client, owned: owned, timeout: timeout, idle: make(chan struct{}, 1)}
}

func (b *bounded) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	defer b.leave()
	if !b.enter(ctx) {
		return b.doMulti(ctx, command)[0]
	}
	return b.doAlone(ctx, command)
}

// enter notes that a command is under way, and reports whether its caller may carry it
// out: if it is alone, and its context cannot end before the timeout.
func (b *bounded) enter(ctx context.Context) (alone bool) {
	return b.under.Add(1) == 1 && b.owned && b.timeout > 0 && ctx.Done() == nil
}

func (b *bounded) leave() { b.under.Add(-1) }

func (b *bounded) doAlone(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	ctx, done := b.alone(ctx)
	defer done()
	return b.Client.Do(ctx, b.blocking(command))
}

// alone is the context of what its caller carries out.
func (b *bounded) alone(ctx context.Context) (bounded context.Context, done func()) {
	b.sending.Add(1)
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	return bounded, func() {
		cancel()
		b.sent()
	}
}

// blocking returns a command that goes out on a connection of its own. A read is still one
// that the client repeats if the connection is lost, which it finds out only when it uses it.
func (b *bounded) blocking(command rueidis.Completed) rueidis.Completed {
	words := command.Commands()
	alone := b.B().Arbitrary(words[0]).Args(words[1:]...).Blocking()
	if command.IsReadOnly() {
		alone = alone.ToRetryable()
	}
	return alone
}

func (b *bounded) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	defer b.leave()
	if !b.enter(ctx) {
		return b.doMulti(ctx, commands...)
	}
	ctx, done := b.alone(ctx)
	defer done()
	for i, command := range commands {
		commands[i] = b.blocking(command)
	}
	return b.Client.DoMulti(ctx, commands...)
}

func (b *bounded) doMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	if len(commands) == 0 {
		return nil
	}
	calls := make([]*call, len(commands))
	for i, command := range commands {
		calls[i] = b.call(command)
	}
	if ctx.Err() == nil {
		b.send(ctx, calls)
	}
	replies := make([]rueidis.RedisResult, len(calls))
	for i, c := range calls {
		replies[i] = b.wait(ctx, c)
	}
	return replies
}

func (b *bounded) call(command rueidis.Completed) *call {
	c, _ := b.calls.Get().(*call)
	if c == nil {
		c = &call{reply: make(chan rueidis.RedisResult, 1), late: time.NewTimer(0)}
	}
	c.late.Stop()
	if b.timeout > 0 {
		c.late.Reset(b.timeout)
	}
	c.command = command
	return c
}

// wait returns the reply to a call that is being sent.
func (b *bounded) wait(ctx context.Context, c *call) rueidis.RedisResult {
	select {
	case reply := <-c.reply:
		b.calls.Put(c)
		return reply
	case <-c.late.C:
		return rueidis.NewErrorResult(context.DeadlineExceeded)
	case <-ctx.Done():
		c.late.Stop()
		return rueidis.NewErrorResult(ctx.Err())
	}
}

// send sends calls in one go, and does not wait for their replies. The client sees
// of the context its values, but not its end: at that it may close the connection,
// on which others wait.
func (b *bounded) send(ctx context.Context, calls []*call) {
	b.sending.Add(1)
	ctx, cancel := context.WithoutCancel(ctx), context.CancelFunc(func() {})
	if b.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, b.timeout)
	}
	go func() {
		defer cancel()
		defer b.sent()
		answered := 0
		defer func() { // a client that panics must end no more than its callers' wait
			fault := recover()
			for _, c := range calls[answered:] {
				c.reply <- rueidis.NewErrorResult(fmt.Errorf("%w: %v\n%s", errPanicked, fault, debug.Stack()))
			}
		}()
		if len(calls) == 1 {
			calls[0].reply <- b.Client.Do(ctx, calls[0].command)
			answered++
			return
		}
		commands := make([]rueidis.Completed, len(calls))
		for i, c := range calls {
			commands[i] = c.command
		}
		replies := b.Client.DoMulti(ctx, commands...)
		for i, c := range calls {
			c.reply <- replies[i]
			answered++
		}
	}()
}

// replicated runs a script, and waits until so many replicas have what it changed:
// on one connection, for which the server counts.
func (b *bounded) replicated(ctx context.Context, replicas int, script string, keys, args []string) rueidis.RedisResult {
	reply := make(chan rueidis.RedisResult, 1)
	b.sending.Add(1)
	sending, cancel := context.WithoutCancel(ctx), context.CancelFunc(func() {})
	if b.timeout > 0 {
		sending, cancel = context.WithTimeout(sending, b.timeout)
	}
	go func() {
		defer cancel()
		defer b.sent()
		defer func() {
			if fault := recover(); fault != nil {
				reply <- rueidis.NewErrorResult(fmt.Errorf("%w: %v\n%s", errPanicked, fault, debug.Stack()))
			}
		}()
		_ = b.Dedicated(func(link rueidis.DedicatedClient) error {
			r := b.runAndWait(sending, link, replicas, script, keys, args)
			if refusesWrites(r.Error()) {
				link.Close() // its server is a replica by now: the next connection may lead to another one
			}
			reply <- r
			return nil
		})
	}()
	var late <-chan time.Time
	if b.timeout > 0 {
		timer := time.NewTimer(b.timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-reply:
		return r
	case <-late:
		return rueidis.NewErrorResult(context.DeadlineExceeded)
	case <-ctx.Done():
		return rueidis.NewErrorResult(ctx.Err())
	}
}

var errNotReplicated = errors.New("it has ended on the server, but not on as many replicas as Config.Replicas says")

func (b *bounded) runAndWait(
	ctx context.Context, link rueidis.DedicatedClient, replicas int, script string, keys, args []string,
) rueidis.RedisResult {
	result := link.Do(ctx, link.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
	if n, err := result.AsInt64(); result.Error() != nil || err == nil && (n == gone || n == tooLarge) { // nothing was written
		return result
	}
	milliseconds := int64(0) // for ever
	if b.timeout > 0 {
		milliseconds = max(1, b.timeout.Milliseconds()/2)
	}
	n, err := link.Do(ctx, link.B().Wait().Numreplicas(int64(replicas)).Timeout(milliseconds).Build()).AsInt64()
	switch {
	case err != nil:
		return rueidis.NewErrorResult(fmt.Errorf("%w: waiting for them: %w", errNotReplicated, err))
	case n < int64(replicas):
		return rueidis.NewErrorResult(fmt.Errorf("%w: %d of %d", errNotReplicated, n, replicas))
	}
	return result
}

func (b *bounded) sent() {
	if b.sending.Add(-1) == 0 {
		select {
		case b.idle <- struct{}{}:
		default:
		}
	}
}

// drain waits for what is being sent, but not for a server that hangs.
func (b *bounded) drain() {
	for late := time.After(2 * lease); b.sending.Load() > 0; {
		select {
		case <-b.idle:
		case <-late:
			return
		}
	}
}

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Orphans are sessions that may have been stored, and whose token nobody was told: the
// server's answer was late or lost. A server that hung carries out what was sent to it
// before, so that such a session may appear any time later. It would be listed among the
// user's devices and count towards MaxSessions, though no browser has it.
//
// So they are ended in the background until the server answers, and a few times more after
// that, as one End may overtake what makes the session. That of a session which never
// comes to be changes nothing. One to which an old session of [Migrate] was to move goes on if
// a mark leads to it by then. A process that ends, or is closed, leaves those that it has
// noted: they expire as all sessions do.
type orphans struct {
	mu      sync.Mutex
	noted   map[string]*orphan // by ID
	timer   *time.Timer        // of the next attempt; nil: none is due, and there is no goroutine
	running chan struct{}      // closed when the attempt that is running ends; nil: none is
	stop    context.CancelFunc // of that
	closed  bool
}

type orphan struct {
	id      string
	marks   []string  // that an old session may have, which was to move to it; nil: none was
	led     bool      // one of them would lead to it
	until   time.Time // given up then
	next    time.Time // of its next attempt
	answers int       // of the server, that there is no such session
}

const (
	// mostOrphans bounds the memory that they take. What is noted past it is left alone.
	mostOrphans = 10_000

	// orphanedFor bounds for how long a server is tried that does not answer.
	orphanedFor = time.Hour

	// retryOrphans is the pause after an attempt. It doubles with each answer.
	retryOrphans = time.Second

	// orphanAnswers is how many answers settle that there is no such session: more than a
	// minute passes from the first to the last.
	orphanAnswers = 7
)

// orphan notes a session that was to be stored, unless the error says that it was not.
func (s *Store) orphan(id string, err error) {
	if err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrTooLarge) {
		return
	}
	s.noteOrphan(&orphan{id: id})
}

// noteOrphan notes one, and has the first attempt made at once.
func (s *Store) noteOrphan(one *orphan) {
	o := &s.orphans
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.noted) >= mostOrphans {
		return
	}
	if o.noted == nil {
		o.noted = make(map[string]*orphan)
	}
	one.next = time.Now()
	one.until = one.next.Add(orphanedFor)
	o.noted[one.id] = one
	if o.running == nil {
		o.wait(0, s.endOrphans)
	}
}

// wait has the next attempt made after a pause. o.mu is held.
func (o *orphans) wait(pause time.Duration, attempt func()) {
	if o.timer != nil {
		o.timer.Stop()
	}
	o.timer = time.AfterFunc(pause, attempt)
}

// endOrphans ends those whose turn it is.
func (s *Store) endOrphans() {
	o := &s.orphans
	ctx, due := o.begin()
	if due == nil {
		return
	}
	defer o.finish(s.endOrphans)
	for some := range slices.Chunk(due, endedAtOnce) {
		ended, err := s.endOrphaned(ctx, some)
		o.tried(some, ended, err == nil)
		if err != nil { // it still hangs: the others wait as well
			break
		}
	}
}

// endOrphaned ends some, and returns those that it ended. On this goroutine a panic of a backend
// would end the process.
func (s *Store) endOrphaned(ctx context.Context, some []*orphan) (ended []string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	var ids []string
	for _, one := range some {
		if len(one.marks) == 0 {
			ids = append(ids, one.id)
			continue
		}
		if err := s.settleMove(ctx, one); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return s.endSome(ctx, "", Revoked, ids)
}

// begin returns those whose turn it is, nil if another attempt is running.
func (o *orphans) begin() (ctx context.Context, due []*orphan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running != nil || o.closed {
		return nil, nil
	}
	o.running, o.timer = make(chan struct{}), nil
	ctx, o.stop = context.WithCancel(context.Background())
	due = make([]*orphan, 0, len(o.noted))
	now := time.Now()
	for _, one := range o.noted {
		if !one.next.After(now) {
			due = append(due, one)
			one.next = now.Add(retryOrphans)
		}
	}
	return ctx, due
}

// tried forgets those that were ended, and those for which it was enough.
func (o *orphans) tried(some []*orphan, ended []string, answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ended {
		delete(o.noted, id)
	}
	now := time.Now()
	for _, one := range some {
		one.next = now.Add(retryOrphans << one.answers)
		if answered {
			one.answers++
		}
		if one.answers == orphanAnswers || now.After(one.until) {
			delete(o.noted, one.id)
		}
	}
}

// finish has the next attempt made when it is the next one's turn.
func (o *orphans) finish(attempt func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stop()
	close(o.running)
	o.running = nil
	if o.closed || len(o.noted) == 0 {
		return
	}
	var first time.Time
	for _, one := range o.noted {
		if first.IsZero() || one.next.Before(first) {
			first = one.next
		}
	}
	o.wait(time.Until(first), attempt)
}

// close gives up those that are left, and waits for an attempt that is running, but no
// longer than the limit for a backend that goes on although it is told to stop; 0: there is
// none.
func (o *orphans) close(limit time.Duration) {
	o.mu.Lock()
	o.closed = true
	o.noted = nil
	if o.timer != nil {
		o.timer.Stop()
	}
	running := o.running
	if running != nil {
		o.stop()
	}
	o.mu.Unlock()
	if running == nil {
		return
	}
	var over <-chan time.Time
	if limit > 0 {
		over = time.After(limit)
	}
	select {
	case <-running:
	case <-over:
	}
}

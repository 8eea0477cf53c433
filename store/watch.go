package store

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// watchEvery is how often a watched session is looked at where the backend does
// not tell of changes by itself, and how soon again after a failure.
const watchEvery = time.Second

// watches are the sessions that streams wait on, by ID. Streams of one session
// share one watch.
type watches struct {
	mu      sync.Mutex
	byID    map[string]*watch
	closed  bool
	running sync.WaitGroup
}

type watch struct {
	waiting map[chan struct{}]struct{}
	wake    chan struct{} // something may have changed
	stop    context.CancelFunc
}

// watch returns a channel that is closed when the session, which was loaded as r
// under id, has ended: by sign-out, revocation or expiry, within a second of it,
// and within milliseconds on a [WatchingBackend]. A session that is given a new
// ID while somebody is signed in goes on. stop ends the watch, and closes the
// channel; it must be called, and may be called twice. A server that cannot be
// reached ends nothing.
func (s *Store) watch(id string, r Record) (done <-chan struct{}, stop func()) {
	ch := make(chan struct{})
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	if s.watches.closed {
		close(ch)
		return ch, func() {}
	}
	w := s.watches.byID[id]
	if w == nil {
		ctx, cancel := context.WithCancel(context.Background())
		w = &watch{waiting: make(map[chan struct{}]struct{}), wake: make(chan struct{}, 1), stop: cancel}
		if s.watches.byID == nil {
			s.watches.byID = make(map[string]*watch)
		}
		s.watches.byID[id] = w
		s.watches.running.Go(func() {
			s.watchUntilEnd(ctx, w, id, r)
			s.watches.end(id, w)
		})
	}
	w.waiting[ch] = struct{}{}
	return ch, func() { s.watches.leave(id, w, ch) }
}

// run runs a function whose end is what a stream waits for, and which ends with its context.
// stop waits for that, but Close does not: an old store may hang, and takes no context. stop
// must be called, and may be called twice.
func (ws *watches) run(ctx context.Context, f func(context.Context)) (done <-chan struct{}, stop func()) {
	ended := make(chan struct{})
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		close(ended)
		return ended, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	w, id := &watch{stop: cancel}, rand.Text() // which no other stream shares
	if ws.byID == nil {
		ws.byID = make(map[string]*watch)
	}
	ws.byID[id] = w
	go func() {
		defer close(ended)
		f(ctx)
		ws.end(id, w)
	}()
	return ended, func() {
		cancel()
		<-ended
	}
}

// leave ends one stream's wait.
func (ws *watches) leave(id string, w *watch, ch chan struct{}) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if _, ok := w.waiting[ch]; !ok {
		return
	}
	delete(w.waiting, ch)
	close(ch)
	if len(w.waiting) == 0 {
		w.stop()
		ws.forget(id, w)
	}
}

// end ends the waits of all streams of a session.
func (ws *watches) end(id string, w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.stop()
	for ch := range w.waiting {
		close(ch)
	}
	clear(w.waiting)
	ws.forget(id, w)
}

// forget takes a watch off the list, unless another one has its place by now.
func (ws *watches) forget(id string, w *watch) {
	if ws.byID[id] == w {
		delete(ws.byID, id)
	}
}

// close ends all watches and waits for them.
func (ws *watches) close() {
	ws.mu.Lock()
	ws.closed = true
	for _, w := range ws.byID {
		w.stop()
	}
	ws.mu.Unlock()
	ws.running.Wait()
}

// poke has the session looked at. It never waits.
func (w *watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// watchUntilEnd returns when the session has ended, or with ctx.
func (s *Store) watchUntilEnd(ctx context.Context, w *watch, id string, r Record) {
	backend, tells := s.backend.(WatchingBackend)
	unsubscribe := func() {}
	subscribe := func() {
		if tells {
			unsubscribe()
			unsubscribe = backend.Watch(id, w.poke)
			w.poke() // it may have changed before
		}
	}
	subscribe()
	defer func() { unsubscribe() }()
	pause := watchEvery
	for {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		next, record, err := s.look(ctx, id, r)
		pause = watchEvery
		switch {
		case err != nil:
			continue // nobody knows: ask again
		case next == "":
			return
		case tells:
			pause = max(time.Until(record.Expires), time.Millisecond)
		}
		moved := next != id
		id, r = next, record
		if moved {
			subscribe()
		}
	}
}

// look returns where a session is now that was r under id: "" if it has ended.
func (s *Store) look(ctx context.Context, id string, r Record) (string, Record, error) {
	now, found, err := s.load(ctx, id, true)
	switch {
	case errors.Is(err, ErrCorrupt):
		return "", Record{}, nil
	case err != nil:
		return "", Record{}, err
	case found && now.live():
		return id, now, nil
	case found && now.Ended != Renewed:
		return "", Record{}, nil
	}
	return s.find(ctx, r.User, r.signIn().Line) // it may have been renewed
}

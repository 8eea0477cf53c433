package sessionkittest

import (
	"context"
	"iter"
	"sync"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

// A Store keeps sessions in memory and fails when it is told to. It can do all
// that the stores of this module can.
type Store struct {
	*store.Store
	backend *backend
}

// NewStore returns a store that works until it is told to fail.
func NewStore() *Store {
	b := &backend{Backend: memstore.NewBackend()}
	return &Store{Store: store.New(b, store.Config{Timeout: -1}), backend: b}
}

// FailReads makes all reads fail with err until it is called again, with nil for
// instance. The response of a guarded route is a 503 then.
func (s *Store) FailReads(err error) {
	s.backend.mu.Lock()
	defer s.backend.mu.Unlock()
	s.backend.reads = err
}

// FailWrites makes all changes fail with err until it is called again, with nil
// for instance. The response to a request that changes the session is a 503 then.
func (s *Store) FailWrites(err error) {
	s.backend.mu.Lock()
	defer s.backend.mu.Unlock()
	s.backend.writes = err
}

type backend struct {
	store.Backend
	mu            sync.Mutex
	reads, writes error
}

func (b *backend) reading() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads
}

func (b *backend) writing() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writes
}

func (b *backend) Load(ctx context.Context, id string) (store.Record, bool, error) {
	if err := b.reading(); err != nil {
		return store.Record{}, false, err
	}
	return b.Backend.Load(ctx, id)
}

func (b *backend) LoadFresh(ctx context.Context, ids ...string) (map[string]store.Record, error) {
	if err := b.reading(); err != nil {
		return nil, err
	}
	return b.Backend.LoadFresh(ctx, ids...)
}

func (b *backend) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	if err := b.reading(); err != nil {
		return func(yield func(map[string]store.Record, error) bool) { yield(nil, err) }
	}
	return b.Backend.Scan(ctx)
}

func (b *backend) List(ctx context.Context, user string) (map[string]store.Record, error) {
	if err := b.reading(); err != nil {
		return nil, err
	}
	return b.Backend.List(ctx, user)
}

func (b *backend) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	if err := b.writing(); err != nil {
		return false, err
	}
	return b.Backend.Create(ctx, id, r)
}

func (b *backend) Update(ctx context.Context, id string, c store.Change) (store.Outcome, error) {
	if err := b.writing(); err != nil {
		return store.Outcome{}, err
	}
	return b.Backend.Update(ctx, id, c)
}

func (b *backend) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	if err := b.writing(); err != nil {
		return false, err
	}
	return b.Backend.Rotate(ctx, id, m)
}

func (b *backend) End(ctx context.Context, user string, why store.Ending, ids ...string) ([]string, error) {
	if err := b.writing(); err != nil {
		return nil, err
	}
	return b.Backend.End(ctx, user, why, ids...)
}

func (b *backend) Delete(ctx context.Context, id string) (bool, error) {
	if err := b.writing(); err != nil {
		return false, err
	}
	return b.Backend.Delete(ctx, id)
}

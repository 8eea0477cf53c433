package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/gin-sessionkit/sessionkit/store"
)

// peeks reports whether a backend peeks, and closes it.
func peeks(t *testing.T, b store.Backend) bool {
	t.Helper()
	closeBackend(t, b)
	_, ok := b.(store.PeekingBackend)
	return ok
}

// peeker creates and rotates with a peek at a record that is not there.
type peeker struct {
	store.PeekingBackend

	at store.Peek
}

func alwaysPeeking(b store.Backend) store.Backend {
	id, _ := store.ID(strings.Repeat("0", 43))
	return peeker{b.(store.PeekingBackend), store.Peek{Name: "a", IDs: []string{id}}}
}

func (b peeker) Create(ctx context.Context, id string, r store.Record) (bool, error) {
	created, _, err := b.CreateAndPeek(ctx, id, r, b.at)
	return created, err
}

func (b peeker) Rotate(ctx context.Context, id string, m store.Move) (bool, error) {
	moved, _, err := b.RotateAndPeek(ctx, id, m, b.at)
	return moved, err
}

// createAndPeek does so with any backend, as the store does.
func createAndPeek(ctx context.Context, b store.Backend, id string, r store.Record, p store.Peek) (bool, []string, error) {
	if b, ok := b.(store.PeekingBackend); ok {
		return b.CreateAndPeek(ctx, id, r, p)
	}
	created, err := b.Create(ctx, id, r)
	return thenPeek(ctx, b, p, created, err)
}

func rotateAndPeek(ctx context.Context, b store.Backend, id string, m store.Move, p store.Peek) (bool, []string, error) {
	if b, ok := b.(store.PeekingBackend); ok {
		return b.RotateAndPeek(ctx, id, m, p)
	}
	moved, err := b.Rotate(ctx, id, m)
	return thenPeek(ctx, b, p, moved, err)
}

func thenPeek(ctx context.Context, b store.Backend, p store.Peek, stored bool, err error) (bool, []string, error) {
	if !stored || err != nil {
		return stored, nil, err
	}
	records, err := b.LoadFresh(ctx, p.IDs...)
	texts := make([]string, len(p.IDs))
	for i, id := range p.IDs {
		texts[i] = records[id].Values[p.Name]
	}
	return true, texts, err
}

package sessionkit

import (
	"context"
	"fmt"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
)

// GetFrom returns the value in the session with the given ID, outside of any request:
// to a job that works for a user, for instance. The ID is [Session].ID, also one that a
// signed-in session had before it was renewed within the last hour. ok is false if the
// value is not there or not a T. It is read from the store and no cache, and does not
// count as use of the session.
//
// The error is [store.ErrEnded] if there is no such session, it has ended or expired;
// or why the store failed.
func (k Key[T]) GetFrom(ctx context.Context, s *store.Store, id string) (v T, ok bool, err error) {
	_, r, err := find(ctx, s, id)
	if err != nil {
		return v, false, fmt.Errorf("sessionkit: reading %q outside of a request: %w", k.name, err)
	}
	text, ok := r.Values[k.name]
	if !ok {
		return v, false, nil
	}
	v, ok = k.codec.Decode(text)
	return v, ok, nil
}

// UpdateIn is [Key.Update] outside of any request: it changes the value in the session
// with the given ID in one step, and the next request sees it. The ID and the use are as
// of [Key.GetFrom], and so is the error, which can also be [store.ErrTooLarge] or why the
// result does not encode. The value is unchanged then, as far as can be known.
//
//	_, err := Notices.UpdateIn(ctx, sessions, order.SessionID, func(all []string) []string {
//		return append(all, "Your order is ready")
//	})
func (k Key[T]) UpdateIn(ctx context.Context, s *store.Store, id string, f func(T) T) (T, error) {
	result, err := k.updateIn(ctx, s, id, f)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("sessionkit: updating %q outside of a request: %w", k.name, err)
	}
	return result, nil
}

func (k Key[T]) updateIn(ctx context.Context, s *store.Store, id string, f func(T) T) (result T, err error) {
	server, _ := kitstore.Of(s)
	for range mostRenewals {
		id, r, err := find(ctx, s, id)
		if err != nil {
			return result, err
		}
		for {
			var v T
			before := r.Values[k.name]
			if before != "" {
				v, _ = k.codec.Decode(before)
			}
			result = f(v)
			text, err := k.codec.Encode(result)
			if err != nil {
				return result, err
			}
			set := map[string]string{k.name: text}
			outcome, err := server.Update(ctx, id, r, store.Change{Set: set, If: &store.Condition{Name: k.name, Text: before}})
			if err != nil || outcome.Changed() {
				return result, err
			}
			if !outcome.Found {
				break // it may have another ID
			}
			if outcome.Text == "" {
				r.Values = value.Apply(r.Values, nil, []string{k.name})
			} else {
				r.Values = value.Apply(r.Values, map[string]string{k.name: outcome.Text}, nil)
			}
		}
	}
	return result, store.ErrEnded
}

// find returns the live session that has an ID, or had it, as it stands in the store.
func find(ctx context.Context, s *store.Store, id string) (now string, r store.Record, err error) {
	server, _ := kitstore.Of(s)
	now, r, found, err := server.Find(ctx, id)
	if err == nil && !found {
		err = store.ErrEnded
	}
	return now, r, err
}

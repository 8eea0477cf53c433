package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/gin-sessionkit/sessionkit/store"
)

// idsAtOnce is how many IDs Scan holds in memory, as far as possible.
const idsAtOnce = 1 << 18

// scannedAtOnce is how many keys the server looks at in one command.
const scannedAtOnce = 1000

// letters are what an ID consists of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Scan goes through the keys of all nodes, several times if there are many sessions: each
// time for the IDs with other first letters, which are sorted, because a key may be found
// twice. How many sessions there are is found out on the way: the server may hold much
// else.
func (b *backend) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return b.scan(ctx, idsAtOnce)
}

func (b *backend) scan(ctx context.Context, atOnce int) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		for left, goOn := letters, true; goOn && left != ""; {
			left, goOn = b.scanSome(ctx, left, atOnce, yield)
		}
	}
}

// scanSome is Scan for the IDs that begin with some letters: with all of those that it is
// given, or with the first ones if there turn out to be too many IDs. It returns the letters
// that are left, and whether to go on.
func (b *backend) scanSome(
	ctx context.Context, first string, atOnce int, yield func(map[string]store.Record, error) bool,
) (left string, goOn bool) {
	var found []idText
	var missing error
	for page, err := range b.pages(ctx, func() string { return b.beginningWith(first) }) {
		if err != nil { // the last thing that it yields
			missing = failed("reading all sessions", err)
			break
		}
		for _, key := range page {
			if id := strings.TrimPrefix(key, b.records); len(id) == len(idText{}) {
				found = append(found, idText([]byte(id)))
			}
		}
		for len(found) > atOnce && len(first) > 1 { // a cursor goes on with any pattern
			half := len(first) / 2
			first, left = first[:half], first[half:]+left
			found = slices.DeleteFunc(found, func(id idText) bool { return strings.IndexByte(first, id[0]) < 0 })
		}
		if !yield(nil, nil) {
			return "", false
		}
	}
	slices.SortFunc(found, func(a, b idText) int { return bytes.Compare(a[:], b[:]) })
	for some := range slices.Chunk(slices.Compact(found), readAtOnce) {
		ids := make([]string, len(some))
		for i, id := range some {
			ids[i] = string(id[:])
		}
		outlines, err := b.outlines(ctx, ids)
		if err != nil {
			yield(nil, cmp.Or(missing, err))
			return "", false
		}
		records := make(map[string]store.Record, len(outlines))
		for _, o := range outlines {
			records[o.id] = o.record
		}
		if !yield(records, nil) {
			return "", false
		}
	}
	if missing != nil {
		yield(nil, missing)
		return "", false
	}
	return left, true
}

// mostWalks is how many walks find all keys even if slots are being moved.
const mostWalks = 10

var errMoving = errors.New("slots of the Cluster are being moved all the time")

// pages yields the keys that match a pattern, which may become narrower meanwhile. It walks
// through all nodes, and does so again while a key may have been moved from a node that it had
// yet to look at to one that it had looked at. So those that are there all the time come once
// at least. If a node fails, the keys of the others come before the error.
func (b *backend) pages(ctx context.Context, pattern func() string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		before, missing := b.layout(ctx)
		var stood stays
		for range mostWalks {
			for _, node := range before.masters {
				for cursor, more := uint64(0), true; more; more = cursor != 0 {
					page, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(pattern()).Count(scannedAtOnce).Build()).AsScanEntry()
					if err != nil {
						missing = errors.Join(missing, err)
						break
					}
					cursor = page.Cursor
					if !yield(page.Elements, nil) {
						return
					}
				}
			}
			after := before
			if missing == nil {
				after, missing = b.layout(ctx)
			}
			if missing != nil {
				yield(nil, missing)
				return
			}
			if stood.note(before, after) {
				return
			}
			before = after
		}
		yield(nil, errMoving)
	}
}

// beginningWith returns the pattern for the keys of records whose IDs begin with one of
// some letters.
func (b *backend) beginningWith(first string) string {
	return escape(b.records) + "[" + strings.Replace(first, "-", `\-`, 1) + "]*"
}

// An idText is an ID, which all have one length.
type idText [43]byte

// escape returns a pattern for SCAN that stands for the text itself.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(`*?[]\^-`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

package redisstore

import (
	"bytes"
	"context"
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

// Scan goes through the keys of all nodes, several times if there are many: each time
// for the IDs with other first letters, which are sorted, because SCAN may return a
// key twice. Those that are there all the time are returned once at least.
func (b *backend) Scan(ctx context.Context) iter.Seq2[map[string]store.Record, error] {
	return func(yield func(map[string]store.Record, error) bool) {
		nodes, keys, err := b.masters(ctx)
		if err != nil {
			yield(nil, failed("reading all sessions", err))
			return
		}
		passes := min(len(letters), 1+keys/idsAtOnce)
		for pass := range passes {
			var first strings.Builder
			for i := pass; i < len(letters); i += passes {
				first.WriteString(strings.Replace(letters[i:i+1], "-", `\-`, 1))
			}
			if !b.scanSome(ctx, nodes, first.String(), yield) {
				return
			}
		}
	}
}

// masters returns the clients of the nodes that are no replicas, and how many keys
// they have.
func (b *backend) masters(ctx context.Context) (masters []*bounded, keys int, err error) {
	for _, client := range b.client.Nodes() {
		node := newBounded(client, false, b.timeout)
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if err != nil {
			return nil, 0, err
		}
		if name, _ := role[0].ToString(); name != "master" {
			continue
		}
		n, err := node.Do(ctx, node.B().Dbsize().Build()).AsInt64()
		if err != nil {
			return nil, 0, err
		}
		masters, keys = append(masters, node), keys+int(n)
	}
	return masters, keys, nil
}

// scanSome is Scan for the IDs that begin with some letters. It reports whether to go
// on.
func (b *backend) scanSome(ctx context.Context, nodes []*bounded, first string, yield func(map[string]store.Record, error) bool) bool {
	var found []idText
	pattern := escape(b.records) + "[" + first + "]*"
	for _, node := range nodes {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			page, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(pattern).Count(scannedAtOnce).Build()).AsScanEntry()
			if err != nil {
				yield(nil, failed("reading all sessions", err))
				return false
			}
			cursor = page.Cursor
			for _, key := range page.Elements {
				if id := strings.TrimPrefix(key, b.records); len(id) == len(idText{}) {
					found = append(found, idText([]byte(id)))
				}
			}
			if !yield(nil, nil) {
				return false
			}
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
			yield(nil, err)
			return false
		}
		records := make(map[string]store.Record, len(outlines))
		for _, o := range outlines {
			records[o.id] = o.record
		}
		if !yield(records, nil) {
			return false
		}
	}
	return true
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

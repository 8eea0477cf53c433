package redisstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/signin"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// BenchmarkStore measures 64 goroutines at a time, each with a session of its own:
//
//	go test -run '^$' -bench . ./store/redisstore
func BenchmarkStore(b *testing.B) {
	server := testserver.Redis(b)
	values := map[string]string{"user": `"alice"`, "theme": `"dark"`, "n": `1`, "cart": `["json",[{"Name":"tea"}]]`, "csrf": `"0123456789abcdef"`}
	work := map[string]func(s *store.Store, secret, id string) error{
		"read": func(s *store.Store, secret, _ string) error {
			_, _, _, err := kit(s).Load(b.Context(), "session", secret, false)
			return err
		},
		"write": func(s *store.Store, _, id string) error {
			_, err := kit(s).Update(b.Context(), id, store.Record{}, store.Change{Set: map[string]string{"n": `2`}})
			return err
		},
	}
	for _, bench := range []struct {
		name, work string
		configs    []redisstore.Config
	}{
		{"read", "read", nil},
		{"read without cache", "read", []redisstore.Config{{CacheBytes: -1}}},
		{"write", "write", nil},
		{"write without cache", "write", []redisstore.Config{{CacheBytes: -1}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := redisstore.New(connect(b, server.Address), bench.configs...)
			defer func() { _ = s.Close() }()
			const sessions = 64
			var secrets, ids [sessions]string
			for i := range sessions {
				var err error
				secrets[i], ids[i], _, err = kit(s).Create(b.Context(), record(fmt.Sprint("user", i), values), signin.Attempt{Began: time.Now()})
				require.NoError(b, err)
				if bench.configs == nil {
					waitCached(b, func() error { return work["read"](s, secrets[i], ids[i]) }, server)
				}
			}
			var next atomic.Int64
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := next.Add(1) % sessions
				for pb.Next() {
					if err := work[bench.work](s, secrets[i], ids[i]); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

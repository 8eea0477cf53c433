package sqlservers_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/sqlstore"
)

// benchmark prepares 1000 sessions in a SQLite file.
func benchmark(b *testing.B) (backend store.Backend, ids []string) {
	b.Helper()
	db := openSQLite(b, filepath.Join(b.TempDir(), "sessions.db"))
	backend, err := sqlstore.NewBackend(db)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, backend.Close()) })
	for i := range 1000 {
		id, _ := store.ID(fmt.Sprintf("%043d", i))
		ids = append(ids, id)
		_, err := backend.Create(b.Context(), id, record("alice", map[string]string{
			"theme": `"dark"`, "visits": `42`, "cart": `["json",[{"Name":"tea","Count":2},{"Name":"milk","Count":1}]]`,
			"csrf": `"2jmj7l5rSw0yVb_vlWAYkK_YBwk"`, "_kit:sign_in": `["json",{"at":"2026-01-02T03:04:05Z","ip":"192.0.2.1"}]`,
		}))
		require.NoError(b, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return backend, ids
}

func record(user string, values map[string]string) store.Record {
	now := time.Now().Truncate(time.Millisecond)
	return store.Record{User: user, Created: now, Seen: now, Expires: now.Add(time.Hour), Values: values}
}

func BenchmarkLoad(b *testing.B) {
	backend, ids := benchmark(b)
	for i := 0; b.Loop(); i++ {
		if _, found, err := backend.Load(b.Context(), ids[i%len(ids)]); err != nil || !found {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkLoadParallel(b *testing.B) {
	backend, ids := benchmark(b)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, found, err := backend.Load(b.Context(), ids[int(n.Add(1))%len(ids)]); err != nil || !found {
				b.Error(found, err)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	backend, ids := benchmark(b)
	for i := 0; b.Loop(); i++ {
		c := store.Change{Set: map[string]string{"visits": fmt.Sprint(i)}}
		if found, err := changed(backend.Update(b.Context(), ids[i%len(ids)], c)); err != nil || !found {
			b.Fatal(found, err)
		}
	}
}

// BenchmarkUpdateParallel has 64 goroutines write at a time.
func BenchmarkUpdateParallel(b *testing.B) {
	backend, ids := benchmark(b)
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := store.Change{Set: map[string]string{"visits": `7`}}
			if found, err := changed(backend.Update(b.Context(), ids[int(n.Add(1))%len(ids)], c)); err != nil || !found {
				b.Error(found, err)
			}
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	backend, _ := benchmark(b)
	r := record("", map[string]string{"theme": `"dark"`, "visits": `42`})
	for i := 0; b.Loop(); i++ {
		id, _ := store.ID(fmt.Sprintf("new%040d", i))
		if created, err := backend.Create(b.Context(), id, r); err != nil || !created {
			b.Fatal(created, err)
		}
	}
}

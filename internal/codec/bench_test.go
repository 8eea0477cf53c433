package codec_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gin-sessionkit/sessionkit/internal/codec"
)

func items(n int) []item {
	list := make([]item, n)
	for i := range list {
		list[i] = item{fmt.Sprint("item number ", i), i, 9.95}
	}
	return list
}

func benchmark[T any](b *testing.B, name string, v T) {
	b.Helper()
	c := newCodec[T](b)
	text, err := c.Encode(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(name+"/decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := c.Decode(text); !ok {
				b.Fatal("it does not decode")
			}
		}
	})
	if codec.Remembers[T]() {
		b.Run(name+"/decode anew", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := codec.DecodeAnew(c, text); !ok {
					b.Fatal("it does not decode")
				}
			}
		})
	}
	b.Run(name+"/encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	benchmark(b, "int", 1234)
	benchmark(b, "string", "tea")
	benchmark(b, "int64", int64(1234))
	benchmark(b, "uint", uint(1234))
	benchmark(b, "float64", 9.95)
	benchmark(b, "bool", true)
	benchmark(b, "time", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	benchmark(b, "bytes", []byte("some bytes"))
	benchmark(b, "uuid", uuid{1, 2, 3})
	benchmark(b, "struct", item{"tea", 2, 9.95})
	benchmark(b, "list", items(20))
	benchmark(b, "map", map[string]string{"theme": "dark", "lang": "en", "region": "eu"})
}

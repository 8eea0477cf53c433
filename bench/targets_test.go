package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	main "github.com/gin-sessionkit/sessionkit/bench"
)

func TestTargetsAreJudged(t *testing.T) {
	once := main.Cell{Work: main.Read, Content: main.Small, AtATime: 1}
	many := main.Cell{Work: main.Read, Content: main.Small, AtATime: 64}
	peers := func(ns float64) map[string]map[main.Cell]float64 {
		found := map[string]map[main.Cell]float64{
			"bare Gin": {once: 1000}, "sessionkit memstore": {once: 2000}, "sessionkit sqlstore": {once: 9000},
			"sessionkit redisstore": {many: 1000}, "sessionkit redisstore, no cache": {many: 10_000},
			"scs goredisstore": {many: 20_000}, "gin-contrib redis": {many: 40_000},
		}
		for _, peer := range []string{"gin-contrib memstore", "gin-contrib cookie", "scs memstore", "Fiber session, memory"} {
			found[peer] = map[main.Cell]float64{once: ns}
		}
		return found
	}
	const (
		memory     = "read two values, memstore, in process"
		sqlite     = "read two values, SQLite on disk"
		redis      = "read two values, Redis, 64 at a time"
		revocation = "revocation seen on another node (Redis)"
		bytes      = "memory at a million sessions of five small values"
		visitor    = "anonymous request that touches no session"
	)
	lines := main.NewResults(peers(20_000)).Lines()
	require.Len(t, lines, 18, "a line of the design is missing")
	assert.Equal(t, [2]string{"10× gin-contrib memstore; 10× gin-contrib cookie; 10× scs memstore; 10× Fiber session, memory; 2 times bare Gin", "yes"}, lines[memory])
	assert.Equal(t, "yes", lines[sqlite][1])
	assert.Equal(t, [2]string{"20× scs goredisstore; 40× gin-contrib redis; **2× scs goredisstore**", "**no**"}, lines[redis])
	for _, work := range []string{revocation, bytes, visitor, "write one value, memstore, in process", "write one value, Redis, 64 at a time"} {
		assert.Equal(t, "not measured", lines[work][1], work)
	}

	lines = main.NewResults(peers(8_000)).Lines()
	assert.Equal(t, "**no**", lines[memory][1], "8 to 2 is not 10")
	assert.Equal(t, "**no**", lines[sqlite][1], "SQLite takes longer than memory")
}

func TestRatiosAreToTheFastest(t *testing.T) {
	once := main.Cell{Work: main.Read, Content: main.Small, AtATime: 1}
	table := main.NewResults(map[string]map[main.Cell]float64{
		"sessionkit memstore": {once: 2000}, "gin-contrib memstore": {once: 60_000}, "gin-contrib cookie": {once: 25_000},
		"scs memstore": {once: 21_000}, "Fiber session, memory": {once: 22_000},
	}).Ratios()
	assert.Contains(t, table, "| read an int and a string, in memory | 2 µs | scs memstore, 21 µs | 10.5 |")
}

func TestTargetsThatAreNoTimes(t *testing.T) {
	const (
		revocation = "revocation seen on another node (Redis)"
		bytes      = "memory at a million sessions of five small values"
		visitor    = "anonymous request that touches no session"
	)
	free := main.Cell{Work: main.Anonymous, Content: main.Small, AtATime: 1}
	for name, test := range map[string]struct {
		missed       int
		bytes, trips float64
		want         string
	}{
		"met":    {0, 700, 0, "yes"},
		"missed": {1, 701, 1, "**no**"},
	} {
		t.Run(name, func(t *testing.T) {
			r := main.NewResults(map[string]map[main.Cell]float64{"bare Gin": {free: 500}, "sessionkit memstore": {free: 900}})
			for _, kit := range []string{"sessionkit memstore", "sessionkit sqlstore", "sessionkit redisstore"} {
				r.SetTrips(kit, test.trips)
			}
			r.SetRevocation(main.Revocation{Tries: 1000, P99: 9 * time.Millisecond, Missed: test.missed})
			r.SetScale(main.NewScale(1_000_000, false, test.bytes), main.NewScale(1_000_000, true, test.bytes), main.NewScale(1000, false, 5000))
			for _, work := range []string{revocation, bytes, visitor} {
				assert.Equal(t, test.want, r.Lines()[work][1], work)
			}
		})
	}
}

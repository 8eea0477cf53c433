package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/redisstore"
)

// redisCost is what the kit costs the server, by the server's own statistics.
type redisCost struct {
	BytesAnonymous, BytesSignedIn float64       // memory of a session
	Read, Write                   serverCost    // without a cache anywhere
	News                          time.Duration // CPU time of telling one more process of one write
	NewsBytes                     float64       // that it is sent
}

// serverCost is what one request costs the server.
type serverCost struct {
	CPU           time.Duration // of its main thread
	BytesIn, Sent float64
}

// listeners is how many processes with a cache are told, to see what one costs.
const listeners = 8

func measureRedis(around surroundings, sessions int, each time.Duration) (redisCost, error) {
	own := new(closer)
	defer func() { _ = own.close() }() // nothing of it is needed any more
	around.close = own
	var cost redisCost
	direct, err := openRedisstore(around, redisstore.Config{Prefix: "cost:", CacheBytes: -1})
	if err != nil {
		return cost, err
	}
	own.add(direct.Close)
	if cost.BytesAnonymous, err = redisBytes(around, direct, sessions, false); err != nil {
		return cost, err
	}
	if cost.BytesSignedIn, err = redisBytes(around, direct, sessions, true); err != nil {
		return cost, err
	}
	visitors := newCrowd((&app{handler: newKitRouter(direct)}).connect)
	if cost.Read, err = redisWork(around, visitors, read, each); err != nil {
		return cost, err
	}
	if cost.Write, err = redisWork(around, visitors, write, 2*each); err != nil {
		return cost, err
	}
	for range listeners {
		told, err := openRedisstore(around, redisstore.Config{Prefix: "cost:"})
		if err != nil {
			return cost, err
		}
		own.add(told.Close)
	}
	time.Sleep(100 * time.Millisecond) // until all of them listen
	heard, err := redisWork(around, visitors, write, 2*each)
	cost.News = (heard.CPU - cost.Write.CPU) / listeners
	cost.NewsBytes = (heard.Sent - cost.Write.Sent) / listeners
	return cost, err
}

// redisBytes returns how much memory the server takes for a session.
func redisBytes(around surroundings, sessions *store.Store, n int, signedIn bool) (float64, error) {
	before, err := redisNumbers(around, "used_memory")
	if err != nil {
		return 0, err
	}
	a := newScaleApp(sessions)
	for i := range n {
		user := ""
		if signedIn {
			user = "user" + strconv.Itoa(i)
		}
		if _, err := a.start(user); err != nil {
			return 0, err
		}
	}
	after, err := redisNumbers(around, "used_memory")
	return (after["used_memory"] - before["used_memory"]) / float64(n), err
}

// redisWork has 64 visitors work at a time and asks the server what it cost.
func redisWork(around surroundings, c *crowd, w work, each time.Duration) (serverCost, error) {
	names := []string{"used_cpu_user_main_thread", "used_cpu_sys_main_thread", "total_net_input_bytes", "total_net_output_bytes"}
	visitors, err := c.of(small, maxAtATime)
	if err != nil {
		return serverCost{}, err
	}
	before, err := redisNumbers(around, names...)
	if err != nil {
		return serverCost{}, err
	}
	s, err := repeat(visitors, w, each, nil)
	if err != nil {
		return serverCost{}, err
	}
	after, err := redisNumbers(around, names...)
	if err != nil {
		return serverCost{}, err
	}
	of := func(name string) float64 { return (after[name] - before[name]) / float64(s.Ops) }
	return serverCost{
		CPU:     time.Duration((of(names[0]) + of(names[1])) * float64(time.Second)),
		BytesIn: of(names[2]), Sent: of(names[3]),
	}, nil
}

func redisNumbers(around surroundings, names ...string) (map[string]float64, error) {
	info, err := redisInfo(around.ctx, around.redis)
	if err != nil {
		return nil, err
	}
	numbers := make(map[string]float64)
	for _, name := range names {
		if numbers[name], err = strconv.ParseFloat(info[name], 64); err != nil {
			return nil, fmt.Errorf("the server tells no %s: %w", name, err)
		}
	}
	return numbers, nil
}

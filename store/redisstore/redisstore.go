// Package redisstore keeps sessions in Redis 7 or later, or in Valkey: a single
// server, one behind Sentinel, or a Cluster.
//
//	store, err := redisstore.Open("redis://localhost:6379")
//	…
//	r.Use(sessionkit.Sessions(store))
//
// A session is one hash, and a user's sessions are one sorted set. Every key has
// a TTL. Changes are Lua scripts, so each takes effect at one instant.
//
// # Reads from memory
//
// A session that is in use costs no round trip. The store keeps what it read in a
// bounded cache, and the server tells it of every change (CLIENT TRACKING in
// broadcasting mode, on one connection more to each node). What this store wrote,
// its next read sees. What another process wrote or revoked, it sees within
// milliseconds: in a session that this store itself has just changed, after 5 ms,
// because an invalidation does not say which process made the change. If a script over all
// keys, or an eviction, removes a session at the very instant in which this store makes
// it, the store sees that after 1 s. If the connection is lost the cache is dropped at
// once, and a server that hangs without a sign can leave an answer from memory standing
// for 1.5 s, no longer. This holds for any client, whatever its options are: the client's
// own cache and DoCache are not used.
//
// A node that joins a Cluster, or takes over as master, is followed half a second
// after the client has learned of it at the latest; until then a session that
// lives there may be stale. A node that does not answer keeps the cache from
// answering for all of them.
//
// Each store takes one connection to each node from the client's blocking pool,
// and is told of all session writes, some 60 bytes each, so the load of telling
// grows with the number of processes; [Config].CacheBytes below 0 avoids both. Where the
// server refuses tracking, or a proxy in front of it, the store logs that once and reads
// without a cache.
//
// # Proxies
//
// A user's sessions and their index must be on one server, or in one Cluster that the client
// knows as such. A proxy that spreads keys over several servers (Envoy's redis_proxy, twemproxy)
// puts them apart: RevokeAll then ends nothing, and returns no error. With such a proxy, have all
// keys go to one server by a hash tag, Config{Prefix: "{session}:"}, and the proxy heed it
// (enable_hashtagging in Envoy, hash_tag in twemproxy).
//
// # Many requests at a time
//
// What requests ask of a single server at the same time is sent in one go, by
// DoMulti of the client: reads together, and changes of values together. A request
// that is alone waits for no other. In a Cluster each command is sent by itself.
//
// # What a client must be
//
// The user needs the permissions for EVAL, EVALSHA, EXISTS, DEL, HGETALL, ZRANGE, ZREM,
// HMGET, HGET, and what the scripts call: HSET, HDEL, MEMORY USAGE, RENAMENX, PEXPIRE, PTTL,
// TIME, TYPE, ZADD and ZREMRANGEBYSCORE; for All and Count also ROLE, SCAN and ZCOUNT;
// for the cache also CLIENT TRACKING, INFO, PING, GET, GETEX and SET; for Config.Replicas also
// WAIT; in a Cluster also ASKING, CLUSTER SLOTS, for All and RevokeEveryone CLUSTER NODES and,
// for clients that prefer it, as they do on Redis 8, CLUSTER SHARDS. A client that sends reads to replicas (SendToReplicas) reads
// what a replica knows: a session just made may be missing there. Without MEMORY USAGE
// everything works, but each change reads the whole session, and the server logs a denial.
//
// # Full memory
//
// Set maxmemory-policy noeviction. A server with another policy that is full drops keys that
// were not used for long: sessions, and the index of a user whose sessions are in use. RevokeAll
// then ends none of those, and returns no error; they are not listed either, and do not count
// towards MaxSessions. RevokeEveryone ends them. A store with a cache logs a warning at its start
// if the server has such a policy and a limit of its memory.
//
// # Failover
//
// Replication is asynchronous: a replica that becomes master may lack what the
// master had acknowledged a moment before, the end of a session among it. See
// Config.Replicas. SWAPDB puts other sessions in the place of these: the cache
// notices within half a second.
//
// # Cluster
//
// One thing differs in a Cluster, where two sessions are on two nodes: giving a
// session a new ID takes three steps. The old ID is dead from the first on, a
// user's list shows the session all the while, and of several such changes and a
// removal exactly one wins, as on a single server. A node that is full, or takes no
// writes, is found out before the first. If the process dies between the first and the
// second step, or the node of the new ID fails at that moment, the session is lost and
// its user signs in again; it never lives twice.
//
// All and RevokeEveryone ask all nodes which slots they have, before and after they look at the
// keys. They look again if slots have moved, and fail if some move all the time. A replica
// that does not answer does not matter. If a master does not, the sessions of the others come,
// or end, before the error.
package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/gin-sessionkit/sessionkit/internal/config"
	"github.com/gin-sessionkit/sessionkit/store"
)

// Config adjusts a store. The zero value is right for most applications.
type Config struct {
	// Prefix is what the keys of the store begin with. Stores with different prefixes,
	// neither of which begins with the other, share a server without seeing each other's
	// sessions. Default: "session:".
	Prefix string

	// CacheBytes bounds the memory that the cache takes, by estimate. A session of five
	// small values takes about 700 bytes. Default: 64 MiB. Negative: there is no cache,
	// and every read asks the server. The store then runs no goroutine but for what is
	// being sent, and needs no permission for tracking.
	CacheBytes int

	// Replicas is how many replicas must have what ends a session before it counts as
	// ended (WAIT), so that a failover to one of those does not bring the session back. If
	// they do not within the timeout, the operation fails, although the session has ended
	// on the master; a second Logout, Revoke, RevokeAll or RevokeEveryone waits again, the
	// last in a Cluster for the replicas of one node only. It takes one round trip to the
	// replicas longer, on a connection of the client's blocking pool. Sentinel and Cluster may
	// promote a replica that does not have it: let all of them be counted here, or set
	// min-replicas-to-write on the server. In a Cluster, a session in a slot that is being
	// moved to another node may not be ended, or get a new ID, until the slot has moved
	// and the client knows: that fails and changes nothing. Default: 0.
	Replicas int

	// Store holds the settings that all stores have. Timeout applies to what goes to the
	// server; an answer from memory needs none. The client may close a connection that has
	// not answered for that long, and then fails what else waits on it.
	Store store.Config
}

// Validate returns nil if [New] accepts the Config. Otherwise the error names each field
// that is wrong, and the remedy.
func (c Config) Validate() error {
	f := config.Fields{Prefix: "redisstore: Config."}
	if c.Replicas < 0 {
		f.Add("Replicas", fmt.Sprint(c.Replicas), "must not be negative; 0 waits for none")
	}
	return f.Err(c.Store.Validate())
}

const (
	defaultPrefix     = "session:"
	defaultCacheBytes = 64 << 20
	defaultTimeout    = 2 * time.Second
)

// settings are those of a Config, with the defaults.
type settings struct {
	Config

	owned bool // the client is the store's own, to be closed with it
}

func newSettings(call string, configs []Config) (settings, error) {
	c, err := config.One("redisstore: "+call, configs)
	if err = errors.Join(err, c.Validate()); err != nil {
		return settings{}, err
	}
	c.Prefix = cmp.Or(c.Prefix, defaultPrefix)
	c.CacheBytes = cmp.Or(c.CacheBytes, defaultCacheBytes)
	c.Store.Timeout = cmp.Or(c.Store.Timeout, defaultTimeout)
	return settings{Config: c}, nil
}

// mustSettings is newSettings for what returns no error.
func mustSettings(call string, configs []Config) settings {
	s, err := newSettings(call, configs)
	if err != nil {
		panic(err)
	}
	return s
}

// New returns a store that keeps its sessions in the server of client. The client
// stays the caller's: TLS, ACL users, Sentinel and Cluster are its options, and
// Close of the store leaves it open. Close the store first. It panics on a Config that
// cannot work, and on more than one.
//
// If the client finds a single server by a name that a failover points to another one, set
// ConnLifetime in its options, to 30 s for example: a server that was the master may keep
// its connections, and refuses every write on them. What it has not answered a second after
// that time is sent again, and may be carried out twice: a sign-in or renewal then fails, Take of
// a session value gives it to nobody, and Update may call its function once more on the result.
// The connection of the cache leads to the new master within some 10 s, unless the old one takes
// writes again.
//
// If the client asks Sentinels, set in its options under Sentinel: Dialer.Timeout and
// Dialer.KeepAlive, to 1 s for example, or a Sentinel that hangs is never given up;
// TopologyRefreshInterval, to 5 s, or a failover that the client was not told of is never
// noticed; and TLSConfig, if the Sentinels use TLS. Those of the servers do not apply to them.
//
// [Open] needs none of these settings.
func New(client rueidis.Client, configs ...Config) *store.Store {
	return newStore(client, mustSettings("New", configs))
}

// Open returns a store with a client of its own, which Close of the store closes.
// The URL is one that [rueidis.ParseURL] takes:
//
//	redis://user:password@host:6379/0
//	rediss://host:6379                                 TLS
//	redis://host1:6379?addr=host2:6379&addr=host3:6379  a Cluster
//	redis://sentinel:26379?master_set=name              Sentinel
//
// With rediss, Sentinels use TLS as well, and the certificate of every server must be good for the
// host of the URL. The user and the password are those of the servers: Sentinels that require a
// password of their own need a client of the caller's, and [New].
//
// It fails if no server answers. A server that hangs is given up after 2 s unless
// the URL says otherwise (dial_timeout, write_timeout). If a single server refuses a write,
// or Store.All, because it is a replica by now, and its name leads to a master, the store
// connects anew.
func Open(url string, configs ...Config) (*store.Store, error) {
	s, err := newSettings("Open", configs)
	if err != nil {
		return nil, err
	}
	option, err := clientOption(url)
	if err != nil {
		return nil, fmt.Errorf("redisstore: reading the URL: %w", err)
	}
	client, err := connect(option)
	if err != nil {
		return nil, fmt.Errorf("redisstore: connecting: %w", err)
	}
	s.owned = true
	return newStore(client, s), nil
}

func clientOption(text string) (rueidis.ClientOption, error) {
	if !strings.Contains(text, "://") {
		return rueidis.ClientOption{}, errors.New("it must begin with redis://, rediss://, valkey://, valkeys:// or unix://, as redis://localhost:6379 does")
	}
	// A password that is not encoded ends up in the port, the path or what follows,
	// which errors would quote.
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" || strings.Contains(u.EscapedPath()+u.RawQuery, "@") {
		return rueidis.ClientOption{}, errors.New("special characters in it, as in a password, must be percent-encoded")
	}
	option, err := rueidis.ParseURL(text)
	if err != nil {
		return option, err
	}
	option.DisableCache = true // the client's own, which this package does not use
	if option.Dialer.Timeout == 0 {
		option.Dialer.Timeout = defaultTimeout
	}
	if option.ConnWriteTimeout == 0 {
		option.ConnWriteTimeout = defaultTimeout
	}
	if option.Sentinel.MasterSet != "" {
		// A switch of the master that was missed would otherwise never be noticed.
		option.Sentinel.TopologyRefreshInterval = 5 * time.Second
		option.Sentinel.TLSConfig = option.TLSConfig
		option.Sentinel.Dialer = option.Dialer
		option.Sentinel.Dialer.KeepAlive = rueidis.DefaultTCPKeepAlive // without it, the client does not notice that a Sentinel hangs
	}
	return option, nil
}

func newStore(client rueidis.Client, s settings) *store.Store {
	c := s.Store
	c.Timeout = -1 // the backend bounds what goes to the server, and answers from memory for less than a timer costs
	return store.New(newBackend(client, s), c)
}

// NewBackend returns the backend alone, for those who build a store of their own
// around it. It bounds its operations by Timeout itself.
func NewBackend(client rueidis.Client, configs ...Config) store.Backend {
	return newBackend(client, mustSettings("NewBackend", configs))
}

func newBackend(client rueidis.Client, s settings) store.Backend {
	bounded := newBounded(client, s.owned && client.Mode() == rueidis.ClientModeStandalone, s.Store.Timeout)
	b := &backend{
		client: bounded, batching: &batching{bounded: bounded}, owned: s.owned, timeout: s.Store.Timeout, replicas: s.Replicas,
		prefix: s.Prefix, records: s.Prefix + "id:", users: s.Prefix + "user:",
		cluster: client.Mode() == rueidis.ClientModeCluster,
	}
	b.census = newCensus(bounded, s.Prefix+"live:")
	if b.cluster {
		b.batching = bounded // a batch goes to several nodes, one of which would hold up the others
	}
	if s.CacheBytes < 0 {
		return b
	}
	return newCached(b, s.CacheBytes)
}

package main

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
)

const (
	scsMemory = "scs memstore"
	scsSQLite = "scs sqlite3store"
	scsRedis  = "scs goredisstore"
)

func scsPeers() []peer {
	library := func(name string, m medium, open func(surroundings) (scs.Store, error)) peer {
		return peer{name: name, medium: m, does: everything, renews: true, ends: true, open: func(s surroundings) (*app, error) {
			manager := scs.New() // its store is memstore
			store, err := open(s)
			if err != nil {
				return nil, err
			}
			if store != nil {
				manager.Store = store
			}
			handler := manager.LoadAndSave(newSCSMux(manager))
			return &app{handler: handler, serve: serveHTTP(handler)}, nil
		}}
	}
	return []peer{
		library(scsMemory, inMemory, func(surroundings) (scs.Store, error) { return nil, nil }), //nolint:nilnil // its default
		library(scsSQLite, inSQLite, openSCSSQLite),
		library(scsRedis, inRedis, func(s surroundings) (scs.Store, error) {
			client := redis.NewClient(&redis.Options{Addr: s.redis})
			s.close.add(client.Close)
			return goredisstore.New(client), nil
		}),
	}
}

func openSCSSQLite(s surroundings) (scs.Store, error) {
	db, err := openSQLite(s, "scs.db")
	if err != nil {
		return nil, err
	}
	// The schema of its documentation.
	_, err = db.ExecContext(s.ctx, `CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL);
		CREATE INDEX sessions_expiry_idx ON sessions(expiry);`)
	if err != nil {
		return nil, err
	}
	store := sqlite3store.New(db)
	s.close.add(func() error { store.StopCleanup(); return nil })
	return store, nil
}

func newSCSMux(manager *scs.SessionManager) *http.ServeMux {
	var written atomic.Int64
	written.Store(1) // which every session starts with
	mux := http.NewServeMux()
	handle := func(r route, handler http.HandlerFunc) { mux.HandleFunc(routes[r].method+" "+routes[r].path, handler) }
	handle(routeAnonymous, func(w http.ResponseWriter, _ *http.Request) { httpText(w, saidHello) })
	handle(routeStartSmall, func(w http.ResponseWriter, r *http.Request) {
		scsStart(manager, r)
		httpText(w, answerSmall(valueName, 1))
	})
	handle(routeStartLarge, func(w http.ResponseWriter, r *http.Request) {
		scsStart(manager, r)
		manager.Put(r.Context(), "text", largeTexts[1])
		httpText(w, answerLarge(valueName, largeTexts[1]))
	})
	handle(routeReadSmall, func(w http.ResponseWriter, r *http.Request) {
		httpText(w, answerSmall(manager.GetString(r.Context(), "name"), manager.GetInt(r.Context(), "count")))
	})
	handle(routeReadLarge, func(w http.ResponseWriter, r *http.Request) {
		httpText(w, answerLarge(manager.GetString(r.Context(), "name"), manager.GetString(r.Context(), "text")))
	})
	handle(routeWriteSmall, func(w http.ResponseWriter, r *http.Request) {
		count := int(written.Add(1))
		manager.Put(r.Context(), "count", count)
		httpText(w, answerSmall(valueName, count))
	})
	handle(routeWriteLarge, func(w http.ResponseWriter, r *http.Request) {
		text := largeText(written.Add(1))
		manager.Put(r.Context(), "text", text)
		httpText(w, answerLarge(valueName, text))
	})
	for _, k := range kinds {
		k.scs(manager, handle)
	}
	handle(routeSignIn, func(w http.ResponseWriter, r *http.Request) {
		if err := manager.RenewToken(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		manager.Put(r.Context(), "user", userID)
		httpText(w, userID)
	})
	handle(routeUser, func(w http.ResponseWriter, r *http.Request) {
		user := manager.GetString(r.Context(), "user")
		if user == "" {
			user = saidNone
		}
		httpText(w, user)
	})
	handle(routeSignOut, func(w http.ResponseWriter, r *http.Request) {
		if err := manager.Destroy(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		httpText(w, saidBye)
	})
	return mux
}

func scsStart(manager *scs.SessionManager, r *http.Request) {
	manager.Put(r.Context(), "name", valueName)
	manager.Put(r.Context(), "theme", valueTheme)
	manager.Put(r.Context(), "lang", valueLang)
	manager.Put(r.Context(), "csrf", valueToken)
	manager.Put(r.Context(), "count", 1)
}

func httpText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // a client that is gone is seen by itself
}

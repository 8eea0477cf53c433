package kittest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	gsessions "github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/kitstore"
	"github.com/gin-sessionkit/sessionkit/internal/testserver"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
)

var (
	ErrDown  = errors.New("down")
	GoesOn   = new(gsessions.Session) // has the store go on by itself
	NoCookie = func(r *http.Request) (*gsessions.Session, error) {
		if r.Header.Get("Cookie") == "" {
			return nil, ErrDown
		}
		return GoesOn, nil
	}
	Stored = func(session *gsessions.Session) error {
		if !session.IsNew {
			return ErrDown
		}
		return nil
	}
)

// Tested is a store under test, and what can be done to it from outside.
type Tested struct {
	sessions.Store
	Fail   func()               // makes it unreachable, really; nil: nothing can
	Mend   func()               // ends that
	Damage func(garbage string) // puts garbage into every record; nil: it has none
}

// TestedStore is a kind of store that sessionkit's behaviour is tested over.
type TestedStore struct {
	Name    string // as in docs/stores.md
	New     func(t *testing.T) Tested
	Failing func(t *testing.T) Tested // one that has fail, mend and damage
}

func NewOwnStore(*testing.T) Tested { return Tested{Store: memstore.New()} }

func NewFailingOwnStore(*testing.T) Tested {
	b := NewBackend()
	return Tested{
		Store: StoreOver(b),
		Fail: func() {
			b.Failing(errors.New("down"), "load", "load fresh", "create", "update", "rotate", "end", "delete", "list")
		},
		Mend:   func() { b.Failing(nil) },
		Damage: func(garbage string) { b.Failing(fmt.Errorf("%s: %w", garbage, store.ErrCorrupt), "load") },
	}
}

func NewCookieStore(*testing.T) Tested { return Tested{Store: gincookie.NewStore(TestSecret)} }

// ShortDir returns a directory whose name is short enough for a socket in it.
func ShortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kit-") //nolint:usetesting // its names are too long
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func OpenPostgres(t *testing.T, database string) *sql.DB {
	t.Helper()
	dsn := strings.Replace(testserver.Postgres(t), "dbname=postgres", "dbname="+database, 1)
	db, err := sql.Open("postgres", dsn+" sslmode=disable") // the driver that the store brings
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // the server may have ended its connections
	return db
}

// WithoutRace keeps the data race of a store itself from the race detector, which
// would end the tests: the stores over gorm and PostgreSQL write their settings at
// each read. TestStoresTable shows it.
func WithoutRace(s sessions.Store) sessions.Store {
	if !RaceEnabled || os.Getenv(RaceTest) != "" {
		return s
	}
	return &OneAtATime{Store: s}
}

type OneAtATime struct {
	sessions.Store
	mu sync.Mutex
}

func (s *OneAtATime) Get(r *http.Request, name string) (*gsessions.Session, error) {
	return gsessions.GetRegistry(r).Get(s, name)
}

func (s *OneAtATime) New(r *http.Request, name string) (*gsessions.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.New(r, name)
}

func (s *OneAtATime) Save(r *http.Request, w http.ResponseWriter, session *gsessions.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.Save(r, w, session)
}

// RaceTest is set for the process in which a store is tried for data races.
const RaceTest = "SESSIONKIT_RACE_TEST"

// Server returns what package sessionkit does with a store of this module.
func Server(s sessions.Store) kitstore.Server {
	server, _ := kitstore.Of(s)
	return server
}

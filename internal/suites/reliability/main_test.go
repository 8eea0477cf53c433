package reliability_test

import (
	"flag"
	"io"
	"log"
	"log/slog"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-sql-driver/mysql"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	gin.DefaultWriter = io.Discard
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what fails here fails on purpose
	_ = mysql.SetLogger(log.New(io.Discard, "", 0))
	if os.Getenv(nodeStore) != "" {
		runNode()
		return
	}
	_ = flag.Set("test.parallel", "5") // servers that hang or start leave the machine to others
	testserver.Main(m)
}

// long reports whether each fault is to have its full length.
func long() bool { return os.Getenv("RELIABILITY_LONG") != "" }

// either returns the one for a short run, or the one for a long run.
func either[T any](short, full T) T {
	if long() {
		return full
	}
	return short
}

// skip skips a test. In CI, where everything is there, it fails.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("no test may be skipped in CI: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

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

// either returns the one for a short run, or the one for the longest, in which each fault has
// its full length.
func either[T any](short, full T) T {
	if testserver.Longest() {
		return full
	}
	return short
}

package attacks_test

import (
	"testing"

	"github.com/gin-sessionkit/sessionkit/internal/kittest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

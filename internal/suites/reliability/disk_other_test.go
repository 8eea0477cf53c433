//go:build !linux

package reliability_test

import (
	"errors"
	"testing"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

func mountSmallDisk(t *testing.T, _ string) {
	t.Helper()
	testserver.Skip(t, errors.New("a disk in memory is made on Linux only"))
}

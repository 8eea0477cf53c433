package reliability_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/testserver"
)

// mountSmallDisk puts a disk of a few megabytes, in memory, at a directory until
// the test ends.
func mountSmallDisk(t *testing.T, directory string) {
	t.Helper()
	if os.Getuid() != 0 {
		testserver.Skip(t, errors.New("only root can mount a disk"))
	}
	require.NoError(t, syscall.Mount("tmpfs", directory, "tmpfs", 0, "size=8m"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(directory, 0)) })
}

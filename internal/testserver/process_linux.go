package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// unprivileged returns the account for servers that refuse to run as root. It is
// nil if the tests do not.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the account that the tests have
	}
	account, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("an account for the server: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		return nil, fmt.Errorf("the account %s has no numbers", account.Username)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// give hands a directory to the account that servers run under.
func give(dir string) error {
	account, err := unprivileged()
	if err != nil || account == nil {
		return err
	}
	return os.Chown(dir, int(account.Uid), int(account.Gid))
}

// own makes the process one of that account, which does not outlive the tests
// even if those are killed.
func own(command *exec.Cmd) {
	account, _ := unprivileged() // give has reported the error
	command.SysProcAttr = &syscall.SysProcAttr{Credential: account, Pdeathsig: syscall.SIGKILL}
}

// children returns the processes that a process has started. Those of a server may
// be in a group each of their own.
func children(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		list, _ := os.ReadFile(task) // #nosec G304 -- of the kernel
		for text := range strings.FieldsSeq(string(list)) {
			if child, err := strconv.Atoi(text); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	expressMemory = "express-session, MemoryStore"
	expressRedis  = "express-session, connect-redis"
)

func expresses() []peer {
	express := func(name string, m medium, environment func(surroundings) []string) peer {
		return peer{
			name: name, medium: m, does: untyped, renews: true, ends: true, remote: true,
			open: func(s surroundings) (*app, error) { return openNode(s, environment(s)) },
		}
	}
	return []peer{
		express(expressMemory, inMemory, func(surroundings) []string { return nil }),
		express(expressRedis, inRedis, func(s surroundings) []string { return []string{"REDIS_URL=redis://" + s.redis} }),
	}
}

//go:embed node/package.json node/package-lock.json node/server.js
var nodeFiles embed.FS

// errNoNode is why the peers on Node.js are left out.
var errNoNode = errors.New("no server on Node.js")

// openNode starts a server on Node.js. It ends when what it reads from does.
func openNode(s surroundings, environment []string) (*app, error) {
	dir, err := installNode(s.ctx)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(s.ctx, "node", filepath.Join(dir, "server.js")) // #nosec G204 -- a file of this package
	command.Env = append(os.Environ(), append(environment, "NODE_ENV=production")...)
	said := new(bytes.Buffer) // MemoryStore warns that it is not for production
	command.Stderr = said
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	s.close.add(func() error {
		_ = command.Process.Kill()
		_ = command.Wait() // it was told to end
		return nil
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server on Node.js did not start: %w\n%s", errors.Join(err, command.Wait()), said)
	}
	return &app{address: net.JoinHostPort("127.0.0.1", strings.TrimSpace(port))}, nil
}

// installNode returns the directory of the server with what it depends on, which
// npm installs there once.
func installNode(ctx context.Context) (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %s is not installed", errNoNode, program)
		}
	}
	sum := sha256.New()
	files := make(map[string][]byte)
	for _, name := range []string{"package.json", "package-lock.json", "server.js"} {
		text, err := nodeFiles.ReadFile("node/" + name)
		if err != nil {
			return "", err
		}
		files[name] = text
		sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "sessionkit-bench", hex.EncodeToString(sum.Sum(nil))[:16])
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: npm ci: %w: %s", errNoNode, err, bytes.TrimSpace(out))
	}
	return dir, os.WriteFile(done, nil, 0o600)
}

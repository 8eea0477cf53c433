package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

var errNoRedis = errors.New("redis-server is not installed")

// startRedis starts a private server that keeps nothing on disk, and returns its
// address.
func startRedis(ctx context.Context, dir string, c *closer) (string, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errNoRedis
	}
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := free.Close(); err != nil {
		return "", err
	}
	server := exec.CommandContext(ctx, program, "--port", port, "--bind", "127.0.0.1", "--dir", dir, // #nosec G204 -- found in PATH
		"--save", "", "--appendonly", "no", "--loglevel", "warning")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return "", err
	}
	c.add(func() error {
		_ = server.Process.Kill()
		_ = server.Wait() // it was told to end
		return nil
	})
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		info, err := redisInfo(ctx, address)
		if err == nil && info["process_id"] == strconv.Itoa(server.Process.Pid) {
			return address, nil
		}
		if err == nil {
			err = errors.New("another one has taken its port")
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

// redisInfo returns what the server says of itself, by name.
func redisInfo(ctx context.Context, address string) (map[string]string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, "INFO everything\r\n"); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "$")))
	if err != nil {
		return nil, fmt.Errorf("INFO is answered with %q", line)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	info := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}

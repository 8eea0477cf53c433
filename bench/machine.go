package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// machine is where a run took place, and of what versions.
type machine struct {
	cpu, system, memory string
	cores               int
	versions            []string
}

// named are the modules whose versions a report tells.
var named = []string{
	"github.com/gin-gonic/gin", "github.com/gin-contrib/sessions", "github.com/redis/rueidis", "modernc.org/sqlite",
	"github.com/boj/redistore", "github.com/wader/gormstore/v2", "gorm.io/gorm", "github.com/libtnb/sqlite", "github.com/quasoft/memstore",
	"github.com/alexedwards/scs/v2", "github.com/alexedwards/scs/goredisstore", "github.com/alexedwards/scs/sqlite3store",
	"github.com/redis/go-redis/v9", "github.com/gofiber/fiber/v3", "github.com/gofiber/storage/redis/v3", "github.com/valyala/fasthttp",
}

func describeMachine(around surroundings) (machine, error) {
	m := machine{
		cpu: field("/proc/cpuinfo", "model name"), memory: field("/proc/meminfo", "MemTotal"),
		system: runtime.GOOS + "/" + runtime.GOARCH, cores: runtime.NumCPU(),
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.system += " " + strings.TrimSpace(string(kernel))
	}
	m.versions = []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if slices.Contains(named, module.Path) {
				m.versions = append(m.versions, module.Path+" "+module.Version)
			}
		}
	}
	info, err := redisInfo(around.ctx, around.redis)
	if err != nil {
		return m, err
	}
	m.versions = append(m.versions, "redis-server "+info["redis_version"])
	db, err := openSQLite(around, "version.db")
	if err != nil {
		return m, err
	}
	var version string
	if err := db.QueryRowContext(around.ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return m, fmt.Errorf("asking SQLite for its version: %w", err)
	}
	m.versions = append(m.versions, "SQLite "+version)
	if out, err := exec.CommandContext(around.ctx, "node", "--version").Output(); err == nil {
		m.versions = append(m.versions, "Node.js "+string(bytes.TrimSpace(out)), "express-session 1.19.0", "connect-redis 9.0.0")
	}
	return m, nil
}

// field returns the value of the first line of that name in a file of /proc, "" if
// there is none.
func field(path, name string) string {
	text, err := os.ReadFile(path) // #nosec G304 -- one of two in this file
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

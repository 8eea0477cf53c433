package redisstore

import (
	"context"
	"log/slog"
	"strings"
)

// warnOfEviction logs once if a node drops keys when its memory is full: it may drop the index
// of a user and keep the sessions, which are used more often, and then those cannot be ended.
func (t *tracker) warnOfEviction() {
	if t.warned {
		return
	}
	t.warned = true
	ctx, cancel := context.WithTimeout(context.Background(), lease)
	defer cancel()
	for _, link := range t.links {
		memory, _ := link.Do(ctx, link.B().Info().Section("memory").Build()).ToString() // which it may refuse
		if policy := evictionPolicy(memory); policy != "" {
			slog.Warn("redisstore: the server drops sessions and indexes when its memory is full: what it drops of a user's index, "+
				"RevokeAll does not end. Set maxmemory-policy noeviction", "maxmemory-policy", policy)
			return
		}
	}
}

// evictionPolicy returns by which policy a server drops keys, "" if it does not.
func evictionPolicy(memory string) (policy string) {
	for line := range strings.Lines(memory) {
		switch name, text, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "maxmemory":
			if text == "0" {
				return ""
			}
		case "maxmemory_policy":
			if text != "noeviction" {
				policy = text
			}
		}
	}
	return policy
}

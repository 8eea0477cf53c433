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
	ctx, cancel := context.WithTimeout(context.Background(), lease)
	defer cancel()
	answered := true // if a node refuses, or is late, all are asked again once they are connected anew
	for _, link := range t.links {
		memory, err := link.Do(ctx, link.B().Info().Section("memory").Build()).ToString()
		answered = answered && err == nil
		if policy := evictionPolicy(memory); policy != "" {
			t.warned = true
			slog.Warn("redisstore: the server drops sessions and indexes when its memory is full: what it drops of a user's index, "+
				"RevokeAll does not end. Set maxmemory-policy noeviction", "maxmemory-policy", policy)
			return
		}
	}
	t.warned = answered
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

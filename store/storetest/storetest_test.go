package storetest_test

import (
	"cmp"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gin-sessionkit/sessionkit/internal/value"
	"github.com/gin-sessionkit/sessionkit/store"
	"github.com/gin-sessionkit/sessionkit/store/memstore"
	"github.com/gin-sessionkit/sessionkit/store/storetest"
)

// broken is the environment variable that names the mutant of [TestMutant].
const broken = "STORETEST_MUTANT"

type mutant struct {
	group   string // of the rules
	failure string // what Run or RunShared says
	of      func(store.Backend) store.Backend
	waits   bool // the failure is that something does not come
}

// mutants are backends that break one rule each.
var mutants = map[string]mutant{
	"a scan that holds a lock": {
		"scan without a lock", "no lock may be held",
		func(b store.Backend) store.Backend { return &lockedScan{Backend: b} },
		true,
	},
	"one portion": {
		"scan", "Scan must yield small portions",
		func(b store.Backend) store.Backend { return onePortion{b} },
		false,
	},
	"a trace without Since": {
		"trace", "Rotate must leave the given trace: Since",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.Trace.Since = time.Time{} }}
		},
		false,
	},
	"a new record that keeps the name of the old one": {
		"rotate", "Rotate must drop what the new record does not have: Name",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.Record.Name = cmp.Or(m.Record.Name, "session") }}
		},
		false,
	},
	"a new record with another Seen": {
		"rotate", "Rotate must take all but the values from the new record: Seen",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.Record.Seen = time.Now() }}
		},
		false,
	},
	"user names of 255 bytes": {
		"text", "the user's name must come back as it was",
		func(b store.Backend) store.Backend {
			return creating{b, func(r *store.Record) { r.User = r.User[:min(len(r.User), 255)] }}
		},
		false,
	},
	"a deaf watch": {
		"watch", "Watch must call back",
		func(b store.Backend) store.Backend { return deafWatch{b} },
		true,
	},
	"an ending without Created": {
		"end", "has its times, but for Expires: Created",
		func(b store.Backend) store.Backend {
			return ending{b, func(r *store.Record) { r.Created = time.Now() }}
		},
		false,
	},
	"an ending without Since": {
		"end", "has its times, but for Expires: Since",
		func(b store.Backend) store.Backend {
			return ending{b, func(r *store.Record) { r.Since = time.Time{} }}
		},
		false,
	},
	"an ending with another Seen": {
		"end", "has its times, but for Expires: Seen",
		func(b store.Backend) store.Backend {
			return ending{b, func(r *store.Record) { r.Seen = time.Now() }}
		},
		false,
	},
	"an end of the user's own sessions only": {
		"end of several", "End of the empty user must end sessions of anybody",
		func(b store.Backend) store.Backend { return strictEnd{b} },
		false,
	},
	"an update that forgets the name": {
		"update", "Update must leave the name and the user alone",
		func(b store.Backend) store.Backend {
			return updating{b, func(r *store.Record) { r.Name = "" }}
		},
		false,
	},
	"an update that forgets Since": {
		"update", "Update must leave Created and Since alone: Since",
		func(b store.Backend) store.Backend {
			return updating{b, func(r *store.Record) { r.Since = time.Time{} }}
		},
		false,
	},
	"an update of any size": {
		"size", "Update must return ErrTooLarge",
		func(b store.Backend) store.Backend {
			return bounding{b, func(_ store.Record, c *store.Change) error { c.MaxBytes = 0; return nil }}
		},
		false,
	},
	"an update that never gets smaller": {
		"size beyond the bound", "Update must make one that leaves what is too large already smaller",
		func(b store.Backend) store.Backend {
			return bounding{b, func(r store.Record, c *store.Change) error {
				if c.MaxBytes > 0 && bytesOf(value.Apply(r.Values, c.Set, c.Delete)) > c.MaxBytes {
					return store.ErrTooLarge
				}
				return nil
			}}
		},
		false,
	},
	"a size that is judged before the update": {
		"size against updates", "changes at the same time must not exceed MaxBytes together",
		func(b store.Backend) store.Backend {
			return bounding{b, func(r store.Record, c *store.Change) error {
				if c.MaxBytes > 0 && bytesOf(value.Apply(r.Values, c.Set, c.Delete)) > c.MaxBytes {
					return store.ErrTooLarge
				}
				c.MaxBytes = 0
				runtime.Gosched()
				return nil
			}}
		},
		false,
	},
	"a rotation of any size": {
		"size of a rotation", "Rotate must return ErrTooLarge",
		func(b store.Backend) store.Backend {
			return rotating{b, func(m *store.Move) { m.MaxBytes = 0 }}
		},
		false,
	},
	"fresh sessions only": {
		"load fresh", "LoadFresh must return what there is, also what has ended or expired, and records of other kinds",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { return r.Kind == "" }}
		},
		false,
	},
	"fresh records that have not ended only": {
		"load fresh", "LoadFresh must return what there is, also what has ended or expired, and records of other kinds",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { return r.Ended == "" }}
		},
		false,
	},
	"fresh records without the name": {
		"load fresh", "LoadFresh must return records as Load does: Name",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { r.Name = ""; return true }}
		},
		false,
	},
	"fresh records without times": {
		"load fresh", "LoadFresh must return records as Load does: Created",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool {
				r.Created, r.Since, r.Seen, r.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
				return true
			}}
		},
		false,
	},
	"a list by the first expiry": {
		"count", "List must return a session for as long as Update has it live",
		func(b store.Backend) store.Backend { return &listByFirst{Backend: b} },
		false,
	},
	"a scan that keeps its portions": {
		"scan", "a portion of Scan is the caller's",
		func(b store.Backend) store.Backend {
			k := new(keptScan)
			k.told = told{b, func(...string) { k.portions = nil }}
			return k
		},
		false,
	},
	"a peek at sessions only": {
		"peek", `want ["\"kind\"" "\"one\""]`,
		func(b store.Backend) store.Backend { return peeking{b.(store.PeekingBackend), false} },
		false,
	},
	"a peek before the session is stored": {
		"peek against update", "what is read once a session is stored must stand after that",
		func(b store.Backend) store.Backend { return peeking{b.(store.PeekingBackend), true} },
		false,
	},
	"a watch that calls once": {
		"watch", "Watch must call back each caller",
		func(b store.Backend) store.Backend { return newShyWatch(b, true) },
		true,
	},
	"a watch for one caller": {
		"watch", "Watch must call back each caller",
		func(b store.Backend) store.Backend { return newShyWatch(b, false) },
		false,
	},
	"a mutex of the process": {
		"shared/concurrent updates", "must lose nothing of each other",
		func(b store.Backend) store.Backend { return hook(b, mutexed) },
		false,
	},
	"a condition under a mutex of the process": {
		"shared/conditional updates", "of changes on the same condition exactly one must be made",
		func(b store.Backend) store.Backend { return hook(b, mutexed) },
		false,
	},
	"a size under a mutex of the process": {
		"shared/size against updates", "changes at the same time must not exceed MaxBytes together",
		func(b store.Backend) store.Backend { return hook(b, mutexed) },
		false,
	},
	"fresh records of the memory of the process": {
		"shared/fresh", "LoadFresh must see what another process has done",
		remembering(false, true),
		false,
	},
	"a memory that never forgets": {
		"shared/load", "Load must see what another process has done before long",
		remembering(true, false),
		true,
	},
	"a watch of the process's own changes": {
		"shared/watch", "Watch must tell of what another process does",
		func(b store.Backend) store.Backend { return newShyWatch(b, false) },
		true,
	},
	"a Load that finds nothing if it fails": {
		"cancelled", "without an error Load must",
		func(b store.Backend) store.Backend { return hook(b, silentLoad) },
		false,
	},
	"a LoadFresh that finds nothing if it fails": {
		"cancelled", "without an error LoadFresh must",
		func(b store.Backend) store.Backend { return hook(b, silentFresh) },
		false,
	},
	"a List that finds nothing if it fails": {
		"cancelled", "without an error List must",
		func(b store.Backend) store.Backend { return hook(b, silentList) },
		false,
	},
	"a Create that fails silently": {
		"cancelled create", "without an error Create must",
		func(b store.Backend) store.Backend { return hook(b, silentCreate) },
		false,
	},
	"an Update that fails silently": {
		"cancelled update", "without an error Update must",
		func(b store.Backend) store.Backend { return hook(b, silentUpdate(store.Outcome{Found: true})) },
		false,
	},
	"an Update that finds nothing if it fails": {
		"cancelled update", "without an error Update must",
		func(b store.Backend) store.Backend { return hook(b, silentUpdate(store.Outcome{})) },
		false,
	},
	"a Rotate that fails silently": {
		"cancelled rotate", "without an error Rotate must",
		func(b store.Backend) store.Backend { return hook(b, silentRotate) },
		false,
	},
	"an End that fails silently": {
		"cancelled end", "what End returns must have ended",
		func(b store.Backend) store.Backend { return hook(b, silentEnd(slices.Clone[[]string])) },
		false,
	},
	"an End that finds nothing if it fails": {
		"cancelled end", "without an error End must",
		func(b store.Backend) store.Backend { return hook(b, silentEnd(func([]string) []string { return nil })) },
		false,
	},
	"a Delete that fails silently": {
		"cancelled delete", "without an error Delete must",
		func(b store.Backend) store.Backend { return hook(b, silentDelete) },
		false,
	},
	"a list of a hundred": {
		"many sessions", "List must return all sessions of a user who has many",
		func(b store.Backend) store.Backend { return hook(b, shortList) },
		false,
	},
	"a hundred fresh records": {
		"many sessions", "LoadFresh must return all of many records",
		func(b store.Backend) store.Backend { return hook(b, shortFresh) },
		false,
	},
	"a Create that looks before": {
		"create against create", "of several Creates of one ID exactly one must report true",
		func(b store.Backend) store.Backend { return hook(b, lookThenCreate) },
		false,
	},
	"an End that looks before": {
		"end against end", "of several Ends of a session exactly one must return its ID",
		func(b store.Backend) store.Backend { return hook(b, lookThenEnd) },
		false,
	},
	"a Delete that looks before": {
		"delete against delete", "of several Deletes of a record exactly one must report that it was there",
		func(b store.Backend) store.Backend { return hook(b, lookThenDelete) },
		false,
	},
	"a Rotate that judges the size before": {
		"size of a rotation against updates", "a Rotate and Updates at the same time must not exceed MaxBytes together",
		func(b store.Backend) store.Backend { return hook(b, lookThenRotate) },
		false,
	},
	"a conditional Update of what has another ID": {
		"update against rotate", "an Update that reported true must stand after Rotate",
		func(b store.Backend) store.Backend { return hook(b, lookThenUpdateIf) },
		false,
	},
	"a conditional Update of what has ended": {
		"update against end", "an Update that reported true must have been made before the End",
		func(b store.Backend) store.Backend { return hook(b, lookThenUpdateIf) },
		false,
	},
	"Seen that goes back with Expires": {
		"times", "must move each of Seen and Expires forward only",
		func(b store.Backend) store.Backend { return hook(b, timesTogether(false)) },
		false,
	},
	"Expires that goes back with Seen": {
		"times", "must move each of Seen and Expires forward only",
		func(b store.Backend) store.Backend { return hook(b, timesTogether(true)) },
		false,
	},
	"records of ten minutes": {
		"retention", "Load does not find it",
		func(b store.Backend) store.Backend { return hook(b, forgetful(true, false)) },
		false,
	},
	"fresh records of ten minutes": {
		"retention", "LoadFresh does not find it",
		func(b store.Backend) store.Backend { return hook(b, forgetful(false, true)) },
		false,
	},
	"a peek before the session is moved": {
		"peek of a rotation against update", "what is read once a session is stored must stand after that",
		func(b store.Backend) store.Backend { return peeking{b.(store.PeekingBackend), true} },
		false,
	},
	"a move with a peek that drops nothing": {
		"peeking/rotate", "less what is dropped",
		func(b store.Backend) store.Backend {
			return peekingOtherwise{b.(store.PeekingBackend), nil, func(m *store.Move) { m.Drop = nil }}
		},
		false,
	},
	"a move with a peek of any size": {
		"peeking/size of a rotation", "Rotate must return ErrTooLarge",
		func(b store.Backend) store.Backend {
			return peekingOtherwise{b.(store.PeekingBackend), nil, func(m *store.Move) { m.MaxBytes = 0 }}
		},
		false,
	},
	"a move with a peek without Since": {
		"peeking/rotate", "Rotate must take all but the values from the new record: Since",
		func(b store.Backend) store.Backend {
			return peekingOtherwise{b.(store.PeekingBackend), nil, func(m *store.Move) { m.Record.Since = time.Time{} }}
		},
		false,
	},
	"a move with a peek that leaves less of a trace": {
		"peeking/trace", "Rotate must leave the given trace: Next",
		func(b store.Backend) store.Backend {
			return peekingOtherwise{b.(store.PeekingBackend), nil, func(m *store.Move) { m.Trace.Next = "" }}
		},
		false,
	},
	"a creation with a peek without the name": {
		"peeking/create and load", "Load must return the record that Create stored: Name",
		func(b store.Backend) store.Backend {
			return peekingOtherwise{b.(store.PeekingBackend), func(r *store.Record) { r.Name = "" }, nil}
		},
		false,
	},
	"a creation with a peek without Since": {
		"peeking/create and load", "Load must return the record that Create stored: Since",
		func(b store.Backend) store.Backend {
			return peekingOtherwise{b.(store.PeekingBackend), func(r *store.Record) { r.Since = time.Time{} }, nil}
		},
		false,
	},
	"fresh records without Next": {
		"load fresh", "LoadFresh must return records as Load does: Next",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool { r.Next = ""; return true }}
		},
		false,
	},
	"a list with the first times": {
		"times", "List must return sessions as they stand",
		func(b store.Backend) store.Backend { return firstIndex{b, new(sync.Map), withFirstTimes, asItIs} },
		false,
	},
	"a scan with the first times": {
		"times", "Scan must return sessions as they stand",
		func(b store.Backend) store.Backend { return firstIndex{b, new(sync.Map), asItIs, withFirstTimes} },
		false,
	},
	"a list with the first sign-in": {
		"list of the changed", "List must return sessions as they stand",
		func(b store.Backend) store.Backend { return firstIndex{b, new(sync.Map), withFirstSignIn, asItIs} },
		false,
	},
	"a scan with the first sign-in": {
		"list of the changed", "Scan must return sessions as they stand",
		func(b store.Backend) store.Backend { return firstIndex{b, new(sync.Map), asItIs, withFirstSignIn} },
		false,
	},
	"a list of the memory of the process": {
		"shared/fresh", "List must return sessions as they stand, whichever process has changed them",
		rememberingList,
		false,
	},
	"a scan of the memory of the process": {
		"shared/fresh", "Scan must return sessions as they stand, whichever process has changed them",
		func(b store.Backend) store.Backend {
			b, index := indexing(b)
			return rememberingScan{b, index}
		},
		false,
	},
	"a condition without case": {
		"condition on what looks alike", "a condition must tell a text from those that look alike",
		func(b store.Backend) store.Backend { return hook(b, folding(strings.ToLower)) },
		false,
	},
	"a condition without blanks at the end": {
		"condition on what looks alike", "a condition must tell a text from those that look alike",
		func(b store.Backend) store.Backend {
			return hook(b, folding(func(text string) string { return strings.ReplaceAll(text, ` "`, `"`) }))
		},
		false,
	},
	"a condition without accents": {
		"condition on what looks alike", "a condition must tell a text from those that look alike",
		func(b store.Backend) store.Backend {
			return hook(b, folding(strings.NewReplacer("é", "e", "e\u0301", "e").Replace))
		},
		false,
	},
	"a condition on normal forms": {
		"condition on what looks alike", "a condition must tell a text from those that look alike",
		func(b store.Backend) store.Backend {
			return hook(b, folding(strings.NewReplacer("e\u0301", "é").Replace))
		},
		false,
	},
	"a condition on a name without case": {
		"condition on names", "must reach that value and no other",
		func(b store.Backend) store.Backend { return hook(b, foldingNames) },
		false,
	},
	"an update of so many characters": {
		"size in bytes", "Update must return ErrTooLarge",
		func(b store.Backend) store.Backend { return hook(b, inCharacters(true, false)) },
		false,
	},
	"a rotation of so many characters": {
		"size in bytes", "Rotate must return ErrTooLarge",
		func(b store.Backend) store.Backend { return hook(b, inCharacters(false, true)) },
		false,
	},
	"a count of what the process has made": {
		"shared/count", "Count must count before long what another process has created",
		newOwnCount,
		true,
	},
	"fresh traces without values": {
		"load fresh", "LoadFresh must return records as Load does: values",
		func(b store.Backend) store.Backend {
			return fresh{b, func(r *store.Record) bool {
				if r.Ended != "" {
					r.Values = nil
				}
				return true
			}}
		},
		false,
	},
}

// TestMutant runs the contract on the mutant that the environment names, or on the
// backend that all of them are made of.
func TestMutant(t *testing.T) {
	of := func(b store.Backend) store.Backend { return unbroken{b} }
	if m, ok := mutants[os.Getenv(broken)]; ok {
		of = m.of
	}
	storetest.Run(t, func(*testing.T) store.Backend { return of(memstore.NewBackend()) })
	storetest.RunShared(t, func(*testing.T) (store.Backend, store.Backend) {
		medium := memstore.NewBackend()
		return of(medium), of(medium)
	})
}

func TestMutantsAreCaught(t *testing.T) {
	begun := make(map[string]func() (string, error))
	for name, m := range mutants {
		if m.waits { // together, as they need no processor
			begun[name] = begin(t, name, m.group)
		}
	}
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := begun[name]
			if result == nil {
				result = begin(t, name, m.group)
			}
			out, err := result()
			assert.Error(t, err)
			assert.Contains(t, out, m.failure)
		})
	}
}

// begin runs a group of rules on a mutant in a process of its own.
func begin(t *testing.T, name, group string) (result func() (string, error)) {
	t.Helper()
	pattern := "^TestMutant$/^" + strings.ReplaceAll(group, "/", "$/^") + "$"
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", pattern) // #nosec G204 G702 -- this test
	c.Env = append(os.Environ(), broken+"="+name)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	require.NoError(t, c.Start())
	return func() (string, error) {
		err := c.Wait()
		return out.String(), err
	}
}

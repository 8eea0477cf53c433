package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// A layout says where the keys are: on which masters, and in a Cluster also which of them has
// which slot, as they say themselves.
type layout struct {
	masters []*bounded
	slots   [slots]slot // in a Cluster

	unknown map[uint16]bool // slots that have keys on a node which is not among the masters
}

const slots = 16384

// A slot is where the keys of a slot are.
type slot struct {
	node  string // the ID of its master, "" if none of the masters has it
	moves bool   // its keys are being moved to or from another node
}

var (
	errNoMaster = errors.New("the server is a replica, which may lack some")
	errNoSelf   = errors.New("a node of the Cluster does not say which slots it has")
	errLost     = errors.New("a slot of the Cluster is on no node that the client knows")
)

// layout asks where the keys are. A node that does not answer does not matter if it has none
// that the others do not have, as a replica. On an error it returns what is known.
func (b *backend) layout(ctx context.Context) (*layout, error) {
	if b.cluster {
		return b.clusterLayout(ctx)
	}
	l := new(layout)
	var silent error
	for _, client := range b.client.Nodes() {
		node := newBounded(client, false, b.timeout)
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if err != nil {
			silent = errors.Join(silent, err)
			continue
		}
		if name, _ := role[0].ToString(); name == "master" {
			l.masters = append(l.masters, node)
		}
	}
	switch {
	case len(l.masters) > 0:
		return l, nil
	case silent != nil:
		return l, silent
	}
	if f, ok := b.client.Client.(*following); ok {
		f.look() //nolint:contextcheck // for the next call: its name may lead to a master by now
	}
	return l, errNoMaster
}

// clusterLayout asks the nodes that the client knows. It knows one that is new once it was
// redirected there, so it is asked for keys of the slots that are missing.
func (b *backend) clusterLayout(ctx context.Context) (l *layout, err error) {
	const tries = 3
	for range tries {
		var silent error
		l, silent = b.askNodes(ctx)
		probes := b.probes(l.unknown)
		if len(probes) == 0 {
			return l, nil
		}
		for _, reply := range b.client.DoMulti(ctx, probes...) {
			if err := reply.Error(); err != nil {
				return l, errors.Join(silent, err)
			}
		}
		err = errors.Join(silent, errLost)
	}
	return l, err
}

// askNodes returns what the nodes say, and an error if some do not answer.
func (b *backend) askNodes(ctx context.Context) (l *layout, silent error) {
	l = &layout{unknown: make(map[uint16]bool)}
	known, peers := make(map[string]bool), make(map[uint16]string)
	for _, client := range b.client.Nodes() {
		node := newBounded(client, false, b.timeout)
		text, err := node.Do(ctx, node.B().ClusterNodes().Build()).ToString()
		self := ownLine(text)
		if err == nil && self == nil {
			err = errNoSelf
		}
		if err != nil {
			silent = errors.Join(silent, err)
			continue
		}
		known[self[0]] = true
		if slices.Contains(strings.Split(self[2], ","), "master") {
			l.masters = append(l.masters, node)
			l.add(self[0], self[8:], peers)
		}
	}
	for n := range uint16(slots) {
		if l.slots[n].node == "" || peers[n] != "" && !known[peers[n]] {
			l.unknown[n] = true
		}
	}
	return l, silent
}

// ownLine returns the fields of the line about the node itself in its reply to CLUSTER NODES:
//
//	<id> <address> myself,master - 0 0 <epoch> connected 0-5460 7000 [93-<-<id>] [94->-<id>]
func ownLine(text string) []string {
	for line := range strings.Lines(strings.TrimPrefix(text, "txt:")) { // as RESP3 begins a text
		fields := strings.Fields(line)
		if len(fields) >= 8 && slices.Contains(strings.Split(fields[2], ","), "myself") {
			return fields
		}
	}
	return nil
}

// add adds what a master says of its slots. peers are the nodes to or from which slots are
// being moved.
func (l *layout) add(id string, fields []string, peers map[uint16]string) {
	for _, field := range fields {
		if text, ok := strings.CutPrefix(field, "["); ok { // one that is being moved
			number, peer, _ := strings.Cut(strings.TrimSuffix(text, "]"), "-")
			if n, err := strconv.ParseUint(number, 10, 14); err == nil {
				l.slots[n].moves = true
				peers[uint16(n)] = strings.TrimLeft(peer, "<>-")
			}
			continue
		}
		first, last, several := strings.Cut(field, "-")
		if !several {
			last = first
		}
		from, fromErr := strconv.ParseUint(first, 10, 14)
		to, toErr := strconv.ParseUint(last, 10, 14)
		if fromErr != nil || toErr != nil {
			continue
		}
		for n := from; n <= to; n++ {
			s := &l.slots[n]
			if s.node != "" && s.node != id { // it has just been moved, and not all know
				s.moves = true
			}
			s.node = max(s.node, id)
		}
	}
}

// probes returns commands that ask for keys in slots, some of them if there are many. There is
// none for slots in which the store has no keys, as all are in one if its prefix has a hash tag.
func (b *backend) probes(unknown map[uint16]bool) (probes []rueidis.Completed) {
	const most = 50
	probe := func(n int) rueidis.Completed { // no ID is so short
		return b.client.B().Exists().Key(b.records + strconv.Itoa(n)).Build()
	}
	tries := 32 * slots // which leave out no slot
	if one, other := probe(0), probe(1); one.Slot() == other.Slot() {
		tries = 1
	}
	for n := 0; n < tries && len(unknown) > 0 && len(probes) < most; n++ {
		probe := probe(n)
		if slot := probe.Slot(); unknown[slot] {
			delete(unknown, slot)
			probes = append(probes, probe)
		}
	}
	return probes
}

// stays counts for each slot during how many walks through all nodes it stayed where it was.
// What does not move is found by one. A key that moves during a walk may be missed, but it moves
// once, and so is found by the next one.
type stays [slots]uint8

// enough is the count of a slot whose keys have all been found.
const enough = 2

// note notes the layouts before and after a walk, and reports whether all keys have been found.
func (s *stays) note(before, after *layout) (all bool) {
	all = true
	for n := range s {
		switch {
		case s[n] == enough:
		case before.slots[n] != after.slots[n]:
			s[n] = 0
		case after.slots[n].moves:
			s[n]++
		default:
			s[n] = enough
		}
		all = all && s[n] == enough
	}
	return all
}

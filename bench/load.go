package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// A job is what the second process measures over HTTP, and its answer.
type job struct {
	Address string
	Cell    cell
	For     time.Duration
	Prove   *claims // instead of measuring: checks what the peer does
}

// claims are what a peer says of itself, for [prove].
type claims struct {
	Name         string
	Renews, Ends bool
}

type answer struct {
	Samples  map[work]sample
	Requests int64 // that were sent, those to check the sessions included
	Err      string
}

// A generator is the second process, which sends the load.
type generator struct {
	in  *json.Encoder
	out *json.Decoder
}

// loadCommand is the argument that makes this program the second process.
const loadCommand = "load"

func startGenerator(ctx context.Context, c *closer) (*generator, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, loadCommand) // #nosec G204 -- this program
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	c.add(func() error { return errors.Join(in.Close(), command.Wait()) })
	return &generator{json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))}, nil
}

func (g *generator) run(j job) (answer, error) {
	var a answer
	if err := g.in.Encode(j); err != nil {
		return a, err
	}
	if err := g.out.Decode(&a); err != nil {
		return a, fmt.Errorf("the load generator ended: %w", err)
	}
	if a.Err != "" {
		return a, errors.New(a.Err)
	}
	return a, nil
}

// generate is the second process: it takes jobs until there are no more.
func generate(in io.Reader, out io.Writer) error {
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	crowds := make(map[string]*crowd)
	var sent atomic.Int64
	for {
		var j job
		if err := jobs.Decode(&j); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if crowds[j.Address] == nil {
			client := newClient(j.Address)
			crowds[j.Address] = newCrowd(func() transport { return newWire(client, &sent) })
		}
		var a answer
		var err error
		sent.Store(0)
		if j.Prove != nil {
			err = prove(peer{name: j.Prove.Name, renews: j.Prove.Renews, ends: j.Prove.Ends, medium: inMemory, does: untyped}, crowds[j.Address].connect)
		} else {
			a.Samples, err = crowds[j.Address].measure(j.Cell, j.For, true)
		}
		if err != nil {
			a.Err = err.Error()
		}
		a.Requests = sent.Load()
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

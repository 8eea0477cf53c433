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
	Samples map[work]sample
	Err     string
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

func (g *generator) run(j job) (map[work]sample, error) {
	if err := g.in.Encode(j); err != nil {
		return nil, err
	}
	var a answer
	if err := g.out.Decode(&a); err != nil {
		return nil, fmt.Errorf("the load generator ended: %w", err)
	}
	if a.Err != "" {
		return nil, errors.New(a.Err)
	}
	return a.Samples, nil
}

// generate is the second process: it takes jobs until there are no more.
func generate(in io.Reader, out io.Writer) error {
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	crowds := make(map[string]*crowd)
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
			crowds[j.Address] = newCrowd(func() transport { return newWire(client) })
		}
		var a answer
		var err error
		if j.Prove != nil {
			err = prove(peer{name: j.Prove.Name, renews: j.Prove.Renews, ends: j.Prove.Ends, medium: inMemory, does: everything}, crowds[j.Address].connect)
		} else {
			a.Samples, err = crowds[j.Address].measure(j.Cell, j.For, true)
		}
		if err != nil {
			a.Err = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

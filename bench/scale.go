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

// A crowdSize is what a process of its own measures: a store with so many
// sessions of five small values.
type crowdSize struct {
	Store    medium
	Sessions int
	SignedIn bool          // each session is that of a user
	For      time.Duration // of each measurement
	Sweep    bool          // wait for the store to remove expired sessions
	Dir      string
}

// A scaleResult is what was found.
type scaleResult struct {
	crowdSize

	BytesEach float64       // of the heap, or of the file
	Create    float64       // ns to make a session
	Read      float64       // ns of a request that reads two values
	GCShare   float64       // of all CPU time while every core serves reads and a tenth of writes
	Pause     time.Duration // the longest for the collector in that time
	Collect   time.Duration // CPU time of one full collection

	Swept       int           // expired sessions that were removed; 0: not measured
	SweepFor    time.Duration // from the first one to the last
	SlowestRead time.Duration // while that went on
}

func (s scaleResult) who() string {
	if s.SignedIn {
		return "signed in"
	}
	return "anonymous"
}

// scaleCommand is the argument that makes this program such a process.
const scaleCommand = "scale"

// measureScale measures each size in a process of its own. A process that waits
// for its store to sweep, which comes once a minute, lets the next one begin.
func measureScale(ctx context.Context, log io.Writer, sizes []crowdSize) ([]scaleResult, error) {
	found := make([]scaleResult, len(sizes))
	var ends []func() error
	for i, size := range sizes {
		_, _ = fmt.Fprintf(log, "scale: %d sessions, %s\n", size.Sessions, size.Store)
		end, err := startScale(ctx, size, &found[i])
		ends = append(ends, end)
		if err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintln(log, "scale: waiting for the stores to remove expired sessions")
	var errs []error
	for _, end := range ends {
		errs = append(errs, end())
	}
	return found, errors.Join(errs...)
}

// startScale starts a process and waits until it has measured everything but the
// sweep, which end waits for.
func startScale(ctx context.Context, size crowdSize, found *scaleResult) (end func() error, err error) {
	argument, err := json.Marshal(size)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, scaleCommand, string(argument)) // #nosec G204 -- this program
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	results := json.NewDecoder(bufio.NewReader(out))
	end = func() error { return errors.Join(results.Decode(found), command.Wait()) }
	if err := results.Decode(found); err != nil {
		return nil, errors.Join(fmt.Errorf("measuring %d sessions: %w", size.Sessions, err), command.Wait())
	}
	return end, nil
}

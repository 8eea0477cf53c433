// Command bench measures sessionkit and its peers on the same work.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == loadCommand {
		return generate(os.Stdin, os.Stdout)
	}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	quick := flags.Bool("quick", false, "run everything once, for moments: it works, and its figures mean nothing")
	rounds := flags.Int("rounds", 10, "rounds in process; half as many over HTTP")
	_ = flags.Parse(args)
	p := fullPlan(*rounds)
	if *quick {
		p = quickPlan()
	}
	around, err := surround(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = around.close.close() }()
	r, err := newRunner(around, os.Stderr)
	if err != nil {
		return err
	}
	if err := r.rounds(inProcess, p.cells, p.rounds, p.each); err != nil {
		return err
	}
	if err := r.serve(); err != nil {
		return err
	}
	if err := r.rounds(overHTTP, p.httpCells, p.httpRounds, p.httpEach); err != nil {
		return err
	}
	trips, err := countTrips(around, p.counted)
	fmt.Println(trips, err)
	for k, v := range r.samples {
		fmt.Println(k, len(v), v[0].nanoseconds(), v[0].Allocs/uint64(v[0].Ops))
	}
	return nil
}

var _ = time.Second

// Command bench measures sessionkit and its peers on the same work, in turn and in
// one run: bare Gin, gin-contrib/sessions, scs, the sessions of Fiber, and over
// HTTP express-session.
//
//	go -C bench run .            # half an hour, on a machine that does nothing else
//	go -C bench run . -quick     # a minute: that everything works, no figures
//
// It prints the numbers to reach and what was measured, and writes RESULTS.md,
// chart.svg and scale.svg beside itself, and the tables of docs/scaling.md. It
// starts a private redis-server, which must be installed, and listens on loopback
// only. Without node and npm the peers on Node.js are left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == loadCommand {
		return generate(os.Stdin, os.Stdout)
	}
	if len(args) > 1 && args[0] == scaleCommand {
		return scaleProcess(ctx, args[1], os.Stdout)
	}
	if len(args) > 1 && args[0] == walkCommand {
		return walkProcess(ctx, args[1], os.Stdout)
	}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	quick := flags.Bool("quick", false, "run everything once, for moments: it works, and its figures mean nothing")
	rounds := flags.Int("rounds", 5, "how often each peer is measured in each cell")
	out := flags.String("out", "", "directory for RESULTS.md and the charts; this one, or with -quick none")
	_ = flags.Parse(args)
	p := fullPlan(max(1, *rounds))
	if *quick {
		p = quickPlan()
	}
	around, err := surround(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = around.close.close() }()
	r, err := measureAll(around, p, os.Stderr) //nolint:contextcheck // OpenSQLite takes none
	if err != nil {
		return err
	}
	r.command = "go -C bench run . " + strings.Join(args, " ")
	return r.publish(*out)
}

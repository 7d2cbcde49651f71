package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// options say how much.
type options struct {
	binary   string // of the gatekeeper
	database string // empty: SQLite
	runs     int    // requests that are opened
	waiting  int    // of them, how many wait at once
	clicks   int    // of those, how many are approved and redeemed
	workers  int    // callers at once
}

func parse(args []string) (options, error) {
	var o options
	set := flag.NewFlagSet("gatekeeper-load", flag.ContinueOnError)
	set.StringVar(&o.binary, "binary", "gatekeeper", "the gatekeeper to start")
	set.StringVar(&o.database, "database", "", "postgres://… of an empty database; SQLite when empty")
	set.IntVar(&o.runs, "runs", 2000, "requests to open")
	set.IntVar(&o.waiting, "waiting", 1000, "steps that wait at once")
	set.IntVar(&o.clicks, "clicks", 200, "approvals, each timed to its waiting step")
	set.IntVar(&o.workers, "workers", 64, "callers at once")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if o.clicks > o.waiting || o.waiting > o.runs || o.workers < 1 {
		return o, errors.New("--clicks are of those that are --waiting, and those of the --runs")
	}
	return o, nil
}

// load drives one gatekeeper and prints what it bore.
func load(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	w, err := build(ctx, o)
	if err != nil {
		return err
	}
	defer w.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := w.jobs()
	idle := w.rss()
	opened := w.open(ctx, jobs)
	if opened.bad > 0 {
		return fmt.Errorf("%d requests were not opened, the first: %s", opened.bad, opened.why)
	}
	if err := w.posted(ctx); err != nil {
		return err
	}
	before := w.rss()
	w.wait(ctx, jobs[:o.waiting])
	if err := w.waiting(ctx, o.waiting); err != nil {
		return err
	}
	after := w.rss()
	acked, reached := w.click(ctx, jobs[:o.clicks])
	redeemed := w.redeem(ctx, jobs[:o.clicks])

	fmt.Fprintf(out, "%d runs, %d waiting, %d clicks, %d callers at once\n\n", o.runs, o.waiting, o.clicks, o.workers)
	header(out)
	var failed error
	for _, f := range []*figures{opened, acked, reached, redeemed} {
		f.row(out)
		if f.bad > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: %d failed, the first: %s", f.name, f.bad, f.why))
		}
	}
	fmt.Fprintf(out, "\nmemory: %d MiB idle, %d MiB with the requests, %.0f KiB more for each waiting step\n",
		idle>>20, before>>20, float64(after-before)/1024/float64(max(o.waiting, 1)))
	reached.histogram(out)
	return failed
}

// posted waits until the messages are out, so that phases do not disturb each
// other.
func (w *world) posted(ctx context.Context) error {
	return w.settled(ctx, "gatekeeper_work_waiting", 2)
}

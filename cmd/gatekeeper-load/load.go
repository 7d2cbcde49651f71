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
	history  int    // requests of former days in the database

	running
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
	set.IntVar(&o.history, "history", 0, "requests of former days that are put into the database first")
	o.flags(set)
	set.Usage = func() {
		fmt.Fprint(set.Output(), usage)
		set.PrintDefaults()
	}
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.url != "" && o.history > 0 {
		return o, errors.New("--history is put into a database of our own, not into one that a gatekeeper uses")
	}
	if o.clicks > o.waiting || o.waiting > o.runs || o.workers < 1 {
		return o, errors.New("--clicks are of those that are --waiting, and those of the --runs")
	}
	return o, nil
}

// borne is what a gatekeeper bore.
type borne struct {
	opened, acked, reached, redeemed *figures
	idle, requests, waiting          int64 // memory, in bytes
}

// load drives one gatekeeper and prints what it bore.
func load(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	b, err := drive(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d runs, %d waiting, %d clicks, %d callers at once\n\n", o.runs, o.waiting, o.clicks, o.workers)
	header(out)
	for _, f := range b.all() {
		f.row(out)
	}
	fmt.Fprintf(out, "\nmemory: %d MiB idle, %d MiB with the requests, %.0f KiB more for each waiting step\n", b.idle>>20, b.requests>>20, b.each(o)/1024)
	for _, f := range b.all() {
		f.histogram(out)
	}
	return b.failed()
}

// drive opens requests, has steps wait, clicks and redeems.
func drive(ctx context.Context, o options) (*borne, error) {
	w, err := build(ctx, o)
	if err != nil {
		return nil, err
	}
	defer w.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs, b := w.jobs(), &borne{idle: w.rss()}
	if b.opened = w.open(ctx, jobs); b.opened.bad > 0 {
		return nil, fmt.Errorf("%d requests were not opened, the first: %s", b.opened.bad, b.opened.why)
	}
	if err := w.posted(ctx); err != nil {
		return nil, err
	}
	b.requests = w.rss()
	if err := w.wait(ctx, jobs[:o.waiting]); err != nil {
		return nil, err
	}
	b.waiting = w.rss()
	b.acked, b.reached = w.click(ctx, jobs[:o.clicks])
	b.redeemed = w.redeem(ctx, jobs[:o.clicks])
	return b, nil
}

func (b *borne) all() []*figures { return []*figures{b.opened, b.acked, b.reached, b.redeemed} }

// each is the memory of one waiting step.
func (b *borne) each(o options) float64 {
	return float64(b.waiting-b.requests) / float64(max(o.waiting, 1))
}

func (b *borne) failed() (failed error) {
	for _, f := range b.all() {
		if f.bad > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: %d failed, the first: %s", f.name, f.bad, f.why))
		}
	}
	return failed
}

// posted waits until the messages are out, so that phases do not disturb each
// other.
func (w *world) posted(ctx context.Context) error {
	return w.settled(ctx, "gatekeeper_work_waiting", w.work+2)
}

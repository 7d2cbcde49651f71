package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/enclave"
)

// The names inside the enclave.
const (
	ciHost  = "ci.gatekeeper.example"
	ciURL   = "https://" + ciHost
	inside  = "GATEKEEPER_LOAD_ENCLAVE" // its directory, in the environment of who runs inside
	maxEach = 900                       // versitygw holds 1,000 sessions of a role
)

// peerOptions say what is compared, and how long.
type peerOptions struct {
	binary, fulcio, versitygw string
	each, rounds, workers     int
	warm                      int
	write                     string
}

func parsePeers(args []string) (peerOptions, error) {
	var o peerOptions
	set := flag.NewFlagSet("gatekeeper-load peers", flag.ContinueOnError)
	set.StringVar(&o.binary, "binary", "gatekeeper", "the gatekeeper to start")
	set.StringVar(&o.fulcio, "fulcio", "fulcio", "fulcio to start; go install github.com/sigstore/fulcio@v1.8.8")
	set.StringVar(&o.versitygw, "versitygw", "versitygw", "versitygw to start; go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	set.IntVar(&o.each, "each", 800, "exchanges in a round")
	set.IntVar(&o.rounds, "rounds", 5, "rounds, in which each has its turn")
	set.IntVar(&o.workers, "workers", 16, "callers at once")
	set.StringVar(&o.write, "write", "", "the directory of the documents, to write the table there")
	err := set.Parse(args)
	if err == nil && (o.each < 1 || o.each > maxEach || o.rounds < 1 || o.workers < 1) {
		err = fmt.Errorf("--each is 1 to %d, --rounds and --workers at least 1", maxEach)
	}
	o.warm = min(o.each/4, 50)
	return o, err
}

// peers measures the exchange of a CI token beside programs that do a
// comparable job, in one run: with tokens of one issuer, started anew for each
// round, one after the other.
func peers(ctx context.Context, args []string, out io.Writer) error {
	o, err := parsePeers(args)
	if err != nil {
		return err
	}
	if dir := os.Getenv(inside); dir != "" {
		return compare(ctx, o, dir, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gatekeeper-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd, err := enclave.Command(ctx, enclave.Options{Dir: dir, Hosts: []string{ciHost}}, self, append([]string{"peers"}, args...)...)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, inside+"="+dir)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a network namespace, which takes root or a kernel that lets anybody have one: %w", err)
	}
	return nil
}

// contender is one of those that are compared.
type contender struct {
	name string
	// start runs it anew in an empty directory.
	start func(ctx context.Context, dir string) (runner, error)
	why   string // it is not here

	figures figures
	rates   []float64
	cpu     time.Duration
	rss     int64
}

// runner is one that runs.
type runner interface {
	exchange(ctx context.Context, n int) error // the n-th
	cpu() time.Duration
	rss() int64
	end()
}

func compare(ctx context.Context, o peerOptions, dir string, out io.Writer) error {
	ci, err := ciissuer.Start(ciissuer.Options{URL: ciURL, TTL: time.Hour})
	if err != nil {
		return err
	}
	defer ci.Close()
	server, err := enclave.Serve(dir, handlers(ci))
	if err != nil {
		return err
	}
	defer server.Close()
	all := contenders(o, ci)
	for round := range o.rounds {
		for i := range all {
			c := all[(round+i)%len(all)] // nobody is always the first
			if c.why != "" {
				continue
			}
			if err := c.round(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return report(o, all, out)
}

// round starts it, warms it, and measures it.
func (c *contender) round(ctx context.Context, o peerOptions) error {
	dir, err := os.MkdirTemp("", "gatekeeper-peer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r, err := c.start(ctx, dir)
	if err != nil {
		return err
	}
	defer r.end()
	warm := &figures{}
	repeat(0, o.warm, o.workers, warm, func(n int) error { return r.exchange(ctx, n) })
	before, f := r.cpu(), &figures{}
	repeat(o.warm, o.each, o.workers, f, func(n int) error { return r.exchange(ctx, n) })
	c.cpu += r.cpu() - before
	c.rss = max(c.rss, r.rss())
	if bad := warm.bad + f.bad; bad > 0 {
		return fmt.Errorf("%d exchanges failed, the first: %w", bad, errors.New(warm.why+f.why))
	}
	c.rates = append(c.rates, float64(len(f.all))/f.took.Seconds())
	c.figures.all = append(c.figures.all, f.all...)
	return nil
}

// report prints the table, and what was not there.
func report(o peerOptions, all []*contender, out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| %d rounds of %d, %d at once | a second, the best round | and the worst | p50 | p99 | processor for each | memory |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", o.rounds, o.each, o.workers)
	for _, c := range all {
		if c.why != "" {
			fmt.Fprintf(&b, "| %s | not here: %s | | | | | |\n", c.name, c.why)
			continue
		}
		best, worst := bounds(c.rates)
		memory := "–"
		if c.rss > 0 {
			memory = fmt.Sprintf("%d MiB", c.rss>>20)
		}
		each := float64(c.cpu.Microseconds()) / 1000 / float64(len(c.figures.all))
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.2f ms | %s |\n", c.name, grouped(best), grouped(worst), short(c.figures.at(0.5)), short(c.figures.at(0.99)), each, memory)
	}
	fmt.Fprint(out, b.String())
	if o.write == "" {
		return nil
	}
	return writeSection(o.write, "peers", b.String())
}

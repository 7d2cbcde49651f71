package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// growthOptions say what is grown, and how far.
type growthOptions struct {
	binary, source, write string
	only                  string
	short                 bool
}

func parseGrowth(args []string) (growthOptions, error) {
	var o growthOptions
	set := flag.NewFlagSet("gatekeeper-load growth", flag.ContinueOnError)
	set.StringVar(&o.binary, "binary", "gatekeeper", "the gatekeeper to start")
	set.StringVar(&o.source, "source", ".", "the source tree, whose benchmarks of the ledger and the rules are run")
	set.StringVar(&o.only, "only", "requests,ledger,rules,waiters", "which of them")
	set.StringVar(&o.write, "write", "", "the directory of the documents, to write tables, plots and CSV files there")
	set.BoolVar(&o.short, "short", false, "a tenth of the sizes, measured once")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	for _, name := range strings.Split(o.only, ",") {
		if _, known := curves(o)[name]; !known {
			return o, fmt.Errorf("--only: there is no %q; requests, ledger, rules and waiters are", name)
		}
	}
	return o, nil
}

// curves are what may grow: what is stored, what is recorded, what is
// configured, and who waits.
func curves(o growthOptions) map[string]func(context.Context) (*curve, error) {
	return map[string]func(context.Context) (*curve, error){
		"requests": o.requests, "ledger": o.ledger, "rules": o.rules, "waiters": o.waiters,
	}
}

// growth measures at ten and a hundred times the size.
func growth(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseGrowth(args)
	if err != nil {
		return err
	}
	for _, name := range []string{"requests", "ledger", "rules", "waiters"} {
		if !slices.Contains(strings.Split(o.only, ","), name) {
			continue
		}
		c, err := curves(o)[name](ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(out, "%s\n\n%s\n", c.title, c.table())
		if o.write == "" {
			continue
		}
		if err := c.write(o.write); err != nil {
			return err
		}
	}
	return nil
}

// write puts the table into the document, and the plot and its figures beside
// it.
func (c *curve) write(docs string) error {
	images := filepath.Join(docs, "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	plot, err := c.plot()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(images, "growth-"+c.name+".svg"), plot, 0o644),
		os.WriteFile(filepath.Join(images, "growth-"+c.name+".csv"), []byte(c.csv()), 0o644),
		writeSection(docs, "growth "+c.name, c.table()+"\n!["+c.title+"](images/growth-"+c.name+".svg)\n"),
	)
}

package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/attest"
	"github.com/urfave/cli/v2"
)

func auditExport(w world, c *cli.Context, b books) error {
	since, err := sinceOf(c.String("since"), time.Now())
	if err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	format, err := ledger.NewFormat(c.String("format"), ledger.FormatOptions{Source: b.cfg.URL, Version: version})
	if err != nil {
		return cli.Exit(said(err), exitUsage)
	}
	first := int64(0)
	if !since.IsZero() {
		if first, err = b.FirstAt(c.Context, since.UnixNano()); err != nil {
			return cli.Exit(said(err), exitFailed)
		}
	}
	return b.Leaves(c.Context, first, func(l ledger.Leaf) error {
		if l.Time.Before(since) {
			return nil
		}
		record, err := format.Event(l)
		if err != nil {
			return err
		}
		_, err = w.stdout.Write(append(record.Line, '\n'))
		return err
	})
}

func sinceOf(raw string, now time.Time) (time.Time, error) { return timeOf("--since", raw, now) }

func timeOf(flag, raw string, now time.Time) (time.Time, error) {
	if raw == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(raw); err == nil {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, raw); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q is no time; 2026-12-01T00:00:00Z and 24h are", flag, raw)
}

func auditShow(w world, c *cli.Context, b books) error {
	id := c.Args().First()
	if id == "" {
		return cli.Exit("audit show takes a request, req_…", exitUsage)
	}
	var events []gatekeeper.Event
	var indexes []int64
	err := b.OfRequest(c.Context, id, func(l ledger.Leaf) error {
		e := gatekeeper.Event{ID: l.ID, Type: gatekeeper.EventType(l.Type), Time: l.Time, Request: l.Request, Data: map[string]any{"detail": "pruned"}}
		if !l.Pruned() {
			e = gatekeeper.Event{}
			if err := json.Unmarshal(l.Body, &e); err != nil {
				return cli.Exit(fmt.Sprintf("event %d cannot be read; run `gatekeeper audit verify`", l.Index), exitFailed)
			}
		}
		events, indexes = append(events, e), append(indexes, l.Index)
		return nil
	})
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return cli.Exit("the ledger knows no request "+oneLine(id), exitFailed)
	}
	if c.String("output") == "json" {
		return json.NewEncoder(w.stdout).Encode(events)
	}
	fmt.Fprintf(w.stdout, "%s\n", id)
	for i, e := range events {
		tellEvent(w, indexes[i], e)
	}
	return nil
}

// tellEvent is one line of a request's story.
func tellEvent(w world, index int64, e gatekeeper.Event) {
	if e.ID == "" {
		fmt.Fprintf(w.stdout, "  %6d  pruned\n", index)
		return
	}
	fmt.Fprintf(w.stdout, "  %6d  %s  %-22s %-28s %s\n", index, e.Time.UTC().Format("2006-01-02 15:04:05.000"), oneLine(string(e.Type)), oneLine(who(e.Actor)), oneLine(ledger.Tell(e)))
	if todo, ok := e.Data["todo"].(string); ok { // what people have to do themselves, ready to paste
		fmt.Fprintf(w.stdout, "\n%s\n\n", manyLines(todo))
	}
}

func who(a gatekeeper.Actor) string {
	if a.Name != "" {
		return a.Name + " (" + a.ID + ")"
	}
	return a.ID
}

func auditKey(w world, c *cli.Context, b books) error {
	switch c.String("format") {
	case "note":
		fmt.Fprintln(w.stdout, b.key)
		return nil
	case "pem":
		public, err := ledger.PublicKey(b.key)
		if err != nil {
			return err
		}
		body, err := attest.PEM(public)
		if err == nil {
			_, err = w.stdout.Write(body)
		}
		return err
	}
	return cli.Exit("--format is note or pem", exitUsage)
}

func auditCheckpoint(w world, c *cli.Context, b books) error {
	latest, err := b.NewestCheckpoint(c.Context)
	if err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	if latest == nil {
		return cli.Exit("the ledger is empty", exitFailed)
	}
	_, err = w.stdout.Write(latest)
	return err
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

// asked are the events of a workload asking. A deployment that GitHub held
// back is opened by what GitHub tells, and adopted by what the job's token
// tells: both are replayed, for rules may fit one and not the other.
func asked(t gatekeeper.EventType) bool {
	return t == gatekeeper.EventRequestOpened || t == gatekeeper.EventRequestRefused || t == gatekeeper.EventRequestAdopted
}

// ledger replays what was asked, event by event: a ledger of any length is
// read in little memory.
func (d *differ) ledger(_ world, c *cli.Context, b books) error {
	return b.Leaves(c.Context, 0, func(l ledger.Leaf) error {
		if l.Time.Before(d.since) || !asked(gatekeeper.EventType(l.Type)) {
			return nil
		}
		if len(l.Body) == 0 {
			d.pruned++
			return nil
		}
		a, err := askingOf(l)
		if err != nil {
			return cli.Exit(fmt.Sprintf("event %d cannot be read (%v); run `gatekeeper audit verify`", l.Index, err), exitFailed)
		}
		if a.Environment == "" { // adopted by an older version, which did not say it
			return nil
		}
		return d.add(a)
	})
}

// askingOf reads the workload with its claims as a token's decoder gives them:
// numbers as they were written.
func askingOf(l ledger.Leaf) (rules.Asking, error) {
	var e struct {
		ID, Request string
		Time        time.Time
		Data        struct {
			Environment string
			Workload    gatekeeper.Workload
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(l.Body))
	decoder.UseNumber()
	if err := decoder.Decode(&e); err != nil {
		return rules.Asking{}, err
	}
	id := e.Request
	if id == "" {
		id = e.ID
	}
	return rules.Asking{ID: id, At: e.Time, Workload: e.Data.Workload, Environment: e.Data.Environment}, nil
}

// claims replays a file: claims as they are, or with what else is known of
// them.
func (d *differ) claims(c *cli.Context, known config) error {
	around := surroundings{config: &known}
	in := d.w.stdin
	if path := c.String("claims"); path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return cli.Exit("the claims cannot be read: "+err.Error(), exitUsage)
		}
		defer file.Close()
		in = file
	}
	n := 0
	err := eachJSON(in, func(raw json.RawMessage) error {
		n++
		a, err := claimed(raw, c.String("issuer"), c.String("environment"), around)
		if gatekeeper.CodeOf(err) == gatekeeper.CodeInvalidToken {
			d.never++
			return nil
		}
		if err != nil {
			return fmt.Errorf("entry %d: %s", n, said(err))
		}
		if a.ID == "" {
			a.ID = "entry " + strconv.Itoa(n)
		}
		return d.add(a)
	})
	if err != nil {
		return cli.Exit(c.String("claims")+": "+said(err), exitUsage)
	}
	return nil
}

// eachJSON visits the objects of a list, or one after another.
func eachJSON(in io.Reader, visit func(json.RawMessage) error) error {
	r := bufio.NewReader(in)
	decoder := json.NewDecoder(r)
	if first, err := firstByte(r); err != nil {
		return err
	} else if first == '[' {
		if _, err := decoder.Token(); err != nil {
			return err
		}
	}
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return err
		}
		if err := visit(raw); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, errors.New("there is nothing in it")
		}
		if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			return b, r.UnreadByte()
		}
	}
}

// claimed reads one entry: {"claims": {…}, "issuer", "environment", "at",
// "id"}, or the claims alone, whose iat then says when.
func claimed(raw json.RawMessage, issuer, environment string, around surroundings) (rules.Asking, error) {
	claims, err := oidc.StrictJSON(raw)
	if err != nil {
		return rules.Asking{}, err
	}
	a := rules.Asking{At: time.Now().UTC(), Environment: environment}
	if inner, ok := claims["claims"].(map[string]any); ok {
		for name, set := range map[string]*string{"issuer": &issuer, "environment": &a.Environment, "id": &a.ID} {
			if s, ok := claims[name].(string); ok {
				*set = s
			}
		}
		if at, ok := claims["at"].(string); ok {
			if a.At, err = time.Parse(time.RFC3339, at); err != nil {
				return a, errors.New(`"at" is a time such as 2026-12-20T10:00:00Z`)
			}
		}
		claims = inner
	} else if iat, ok := claims["iat"].(json.Number); ok {
		if seconds, err := iat.Int64(); err == nil {
			a.At = time.Unix(seconds, 0).UTC()
		}
	}
	if s, ok := claims["environment"].(string); ok && a.Environment == "" {
		a.Environment = s
	}
	if a.Environment == "" {
		return a, errors.New("it names no environment; say which is asked for with \"environment\" or --environment")
	}
	a.Workload, err = around.workload(issuer, claims)
	return a, err
}

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// A short form of the growth: every curve is measured, and its table, plot and
// figures are written where the document wants them.
func TestGrowth(t *testing.T) {
	docs := t.TempDir()
	page := filepath.Join(docs, "performance.md")
	var places strings.Builder
	names := []string{"requests", "waiters", "ledger", "rules"}
	for _, name := range names {
		places.WriteString("<!-- measured: growth " + name + " -->\n<!-- end: growth " + name + " -->\n")
	}
	if err := os.WriteFile(page, []byte(places.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"growth", "--short", "--binary", parts.Gatekeeper(t), "--source", "../..", "--write", docs}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		figures, err := os.ReadFile(filepath.Join(docs, "images", "growth-"+name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := csv.NewReader(bytes.NewReader(figures)).ReadAll(); err != nil || len(rows) < 3 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
		plot, err := os.ReadFile(filepath.Join(docs, "images", "growth-"+name+".svg"))
		if err != nil || !wellFormed(plot) {
			t.Errorf("%s: the plot is none: %v", name, err)
		}
		if !strings.Contains(string(written), "](images/growth-"+name+".svg)") {
			t.Errorf("%s is not in the document", name)
		}
	}
}

func wellFormed(body []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func TestGrowthUsage(t *testing.T) {
	if err := run(t.Context(), []string{"growth", "--only", "people"}, io.Discard); err == nil || !strings.Contains(err.Error(), `no "people"`) {
		t.Error(err)
	}
}

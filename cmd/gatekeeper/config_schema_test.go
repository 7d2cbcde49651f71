package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// The schema of gatekeeper.yaml takes what the service starts with, and tells
// what a reader would: it is recorded from it.
func TestConfigSchema(t *testing.T) {
	schema := schemaOf(t, "config", "schema")
	archive, err := txtar.ParseFile("../../testdata/script/config.txtar")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "good.yaml" })
	s := newStaged(t)
	path, _ := s.configFile(t)
	staged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(archive.Files[i].Data)
	sinks := strings.Replace(good, "sinks: []", "sinks: [{type: stdout}, {type: syslog, url: 'tls://logs.acme.com'}, {type: webhook, url: 'https://x', token: y}, {type: file, path: z}]", 1)
	for name, c := range map[string]struct {
		body string
		ok   bool
	}{
		"the contract's": {good, true}, "the stage's": {string(staged), true}, "every sink": {sinks, true},
		"unknown key":  {good + "urll: x\n", false},
		"wrong kind":   {strings.Replace(good, "people:\n", "people: nobody\nx:\n", 1), false},
		"unknown sink": {strings.Replace(good, "sinks: []", "sinks: [{type: kafka}]", 1), false},
		"no URL":       {strings.Replace(good, "url: https://gatekeeper.example.com\n", "", 1), false},
	} {
		doc, ok := asJSON(t, []byte(c.body))
		if !ok {
			t.Fatal(name, "is no YAML")
		}
		if err := schema.Validate(doc); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every error and every warning that the rules' parser can tell is shown by a
// golden: their texts are read from its source.
func TestEveryFaultIsShown(t *testing.T) {
	shown := allGoldens(t)
	texts := faultTexts(t, "../../gatekeeper/rules")
	if len(texts) < 50 {
		t.Fatalf("only %d texts of faults were found; is the reading of the source still right?", len(texts))
	}
	// Only thousands of rules come to it: TestComparisonsAreBounded shows it.
	const elsewhere = "rules after this one are not compared with those before: there are too many that name no repository"
	for text, where := range texts {
		if text != elsewhere && !pattern(text).MatchString(shown) {
			t.Errorf("%s: no file of testdata/rules shows %q", where, text)
		}
	}
}

func allGoldens(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldens, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, check, _ := strings.Cut(string(body), "-- check --\n")
		all.WriteString(check)
	}
	return all.String()
}

// faultTexts are the literal formats of the calls that tell faults, with
// where they stand.
func faultTexts(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set, texts := token.NewFileSet(), map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if text, ok := faultText(call); ok {
					texts[text] = set.Position(call.Pos()).String()
				}
			}
			return true
		})
	}
	return texts
}

// faultText is the text of a call of one of the tellers, by the place of the
// argument that holds it.
func faultText(call *ast.CallExpr) (string, bool) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	at, ok := map[string]int{"Fault": 0, "Warn": 0, "Need": 0, "Matching": 1, "Shaped": 1, "KeyMatching": 2, "KeyFault": 1, "never": 1, "fails": 0}[name]
	if !ok || at >= len(call.Args) {
		return "", false
	}
	return literal(call.Args[at])
}

func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, leftOK := literal(e.X)
		right, rightOK := literal(e.Y)
		return left + right, leftOK && rightOK
	}
	return "", false
}

// pattern is what a format prints.
func pattern(format string) *regexp.Regexp {
	if format == "%s" || format == "%v" {
		return regexp.MustCompile("")
	}
	parts := regexp.MustCompile(`%[a-z]`).Split(format, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(strings.Join(parts, ".*"))
}

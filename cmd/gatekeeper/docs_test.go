package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docBlock is a fenced block of a page. A comment <!-- file: NAME --> before
// it names the file that it shows.
type docBlock struct {
	page, lang, file, body string
	line                   int
}

func (b docBlock) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var docFile = regexp.MustCompile(`^<!-- file: (\S+) -->$`)

// docBlocks reads the blocks of a page of this repository.
func docBlocks(t *testing.T, page string) []docBlock {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []docBlock
	var open *docBlock
	file := ""
	for i, line := range strings.Split(string(body), "\n") {
		fence := strings.HasPrefix(line, "```")
		named := docFile.FindStringSubmatch(line)
		switch {
		case open != nil && fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.body += line + "\n"
		case fence:
			open, file = &docBlock{page: page, lang: strings.TrimPrefix(line, "```"), file: file, line: i + 1}, ""
		case named != nil:
			file = named[1]
		case strings.TrimSpace(line) != "":
			file = ""
		}
	}
	return blocks
}

// Every example of docs/rules.md works: its files are without errors, their
// tests pass, and its commands print what the page says.
func TestRulesPage(t *testing.T) {
	blocks := docBlocks(t, "docs/rules.md")
	t.Chdir(t.TempDir())
	files := 0
	for _, b := range blocks {
		switch {
		case b.lang == "console":
			console(t, b)
		case b.file == "":
			t.Errorf("%s is neither a file nor a command, so nothing shows that it is right", b)
		default:
			files++
			b.write(t)
			if failsOnPurpose := b.file == "faulty/rules.yaml" || b.file == "tested/rules.yaml"; b.lang == "yaml" && !failsOnPurpose {
				rightRules(t, b)
			}
		}
	}
	if files < 12 {
		t.Errorf("only %d examples were found", files)
	}
}

func (b docBlock) write(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file, []byte(b.body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rightRules(t *testing.T, b docBlock) {
	t.Helper()
	if got := command(t.Context(), nil, "rules", "check", b.file); got.code != 0 {
		t.Errorf("%s: %s%s", b, got.stdout, got.stderr)
	}
	got := command(t.Context(), nil, "rules", "test", b.file)
	if got.code != 0 || strings.Contains(got.stdout, "no tests") {
		t.Errorf("%s: %s%s", b, got.stdout, got.stderr)
	}
}

// console runs the commands of a block and wants what the page shows.
func console(t *testing.T, b docBlock) {
	t.Helper()
	code := 0
	for _, part := range strings.Split("\n"+b.body, "\n$ ")[1:] {
		line, want, _ := strings.Cut(part, "\n")
		var got string
		if line == "echo $?" {
			got = fmt.Sprintln(code)
		} else {
			ran := command(t.Context(), nil, strings.Fields(line)[1:]...)
			got, code = ran.stdout+ran.stderr, ran.code
		}
		if diff := cmp.Diff(strings.TrimRight(want, "\n"), strings.TrimRight(got, "\n")); diff != "" {
			t.Errorf("%s: %s prints otherwise (-page +command):\n%s", b, line, diff)
		}
	}
}

// Rules that any other page shows are right as well.
func TestRulesOnAllPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^(rules|freezes|break_glass):\n +- `)
	for _, page := range append(pages, "../../README.md") {
		for _, b := range docBlocks(t, strings.TrimPrefix(page, "../../")) {
			if b.lang != "yaml" || !shown.MatchString(b.body) || b.page == "docs/rules.md" {
				continue
			}
			file := filepath.Join(t.TempDir(), "rules.yaml")
			if err := os.WriteFile(file, []byte(b.body), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := command(t.Context(), nil, "rules", "check", file); got.code != 0 {
				t.Errorf("%s: %s", b, got.stdout)
			}
		}
	}
}

// Each test that docs/security.md names is there: a promise without its test
// is none.
func TestSecurityPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		body, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(body, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range testName.FindAllString(string(page), -1) {
		if !have[name] {
			t.Errorf("docs/security.md names %s, and there is no such test", name)
		}
	}
}

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9]*`)
)

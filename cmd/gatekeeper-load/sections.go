package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeSection puts what was measured into the document, between the two lines
// that mark its place.
func writeSection(docs, name, text string) error {
	path := filepath.Join(docs, "performance.md")
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	first, last := "<!-- measured: "+name+" -->\n", "<!-- end: "+name+" -->\n"
	before, rest, found := strings.Cut(string(body), first)
	_, after, ended := strings.Cut(rest, last)
	if !found || !ended {
		return fmt.Errorf("%s has no place for it, from %q to %q", path, strings.TrimSpace(first), strings.TrimSpace(last))
	}
	return os.WriteFile(path, []byte(before+first+strings.TrimRight(text, "\n")+"\n"+last+after), 0o644)
}

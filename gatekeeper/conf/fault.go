// Package conf reads YAML files into values and tells every fault at once,
// each with its place, the value seen and what would be right. Rules and the
// service's configuration are read with it.
package conf

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a file. Line and Column count from 1.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Warning bool   `json:"warning,omitempty"` // works, but is probably not what was meant
	Message string `json:"message"`
	// Structural faults are those that the schema tells too: unknown keys,
	// wrong kinds, words and shapes, what is missing.
	Structural bool `json:"-"`
}

// String is file:line:column: error: message, as compilers say it and editors
// understand it.
func (f Fault) String() string {
	kind := "error: "
	if f.Warning {
		kind = "warning: "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", f.File, f.Line, f.Column, kind, f.Message)
}

// Faults are all faults of some files. They are an error when one of them is
// not a warning; see Err.
type Faults []Fault

// Error lists them, a line each.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there are warnings at most.
func (fs Faults) Err() error {
	if errs := fs.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

// Errors are the faults that are no warnings.
func (fs Faults) Errors() Faults {
	return slices.DeleteFunc(slices.Clone(fs), func(f Fault) bool { return f.Warning })
}

// Sorted orders faults by place, each once.
func (fs Faults) Sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Compact(fs) // what is read twice is told once
}

// nearest is the known word that was probably meant, "" when none is near.
func nearest(word string, known []string) string {
	best, at := "", 3
	for _, k := range known {
		if d := distance(word, k); d < at && d < len(word) {
			best, at = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

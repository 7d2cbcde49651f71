package rules

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// Options say in which surroundings rules are read.
type Options struct {
	// Issuers are the configured issuers' names. A rule has to name one where
	// there are several; nil takes any.
	Issuers []string
	// Groups keeps where people are named, see [Rules.Groups].
	Groups bool

	compared int // how many rules are compared with each other at most; 0: maxCompared
}

// File is one file of rules.
type File struct {
	Name string
	Body []byte
}

// Load reads a file, or a directory's *.yaml and *.yml by their names. The
// faults hold warnings too; Rules is nil when one is an error.
func Load(path string, o Options) (*Rules, conf.Faults) {
	files, err := Read(path)
	if err != nil {
		return nil, conf.Faults{{File: path, Line: 1, Column: 1, Message: err.Error()}}
	}
	if len(files) == 0 {
		return nil, noFiles(path)
	}
	return Parse(files, o)
}

func noFiles(where string) conf.Faults {
	return conf.Faults{{File: where, Line: 1, Column: 1, Message: "there are no rule files (*.yaml, *.yml) here"}}
}

// Read gives the files under a path without looking into them.
func Read(path string) ([]File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = ruleFiles(path); err != nil {
			return nil, err
		}
	}
	var files []File
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{name, body})
	}
	return files, nil
}

func ruleFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		hidden := strings.HasPrefix(e.Name(), ".")
		if ext := filepath.Ext(e.Name()); !e.IsDir() && !hidden && (ext == ".yaml" || ext == ".yml") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

// tree is a file's YAML.
type tree struct {
	root conf.Value
	doc  *conf.Doc
}

// parsed reads the files' YAML at once: it is most of the time that loading
// takes, and one file knows nothing of another.
func parsed(files []File) []tree {
	trees := make([]tree, len(files))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, f := range files {
		free <- struct{}{}
		wg.Go(func() {
			trees[i].root, trees[i].doc = conf.Parse(f.Name, f.Body, conf.Options{})
			<-free
		})
	}
	wg.Wait()
	return trees
}

// Parse compiles files. It is all or nothing: one error, and there are no
// rules.
func Parse(files []File, o Options) (*Rules, conf.Faults) {
	p := &parser{o: o, rules: &Rules{}, names: map[string]string{}}
	if len(files) == 0 {
		return nil, noFiles(".")
	}
	for _, one := range parsed(files) {
		p.docs, p.doc = append(p.docs, one.doc), one.doc
		p.root(one.root)
	}
	p.warn()
	if p.faults().Err() != nil {
		return nil, p.faults()
	}
	p.rules.seal()
	if o.Groups {
		p.rules.placed = p.placed()
	}
	return p.rules, p.faults()
}

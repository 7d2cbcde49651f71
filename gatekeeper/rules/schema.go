package rules

import (
	_ "embed"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// meanings are what editors show of each key: path, colon, sentence.
//
//go:embed meanings.txt
var meanings string

// Schema is the JSON Schema of a file of rules. It is recorded from the
// parser itself.
func Schema() ([]byte, error) {
	return shape().Schema(conf.SchemaOptions{Title: "Gatekeeper rules", Meanings: conf.Meanings(meanings)})
}

func shape() *conf.Shape {
	return conf.Record(func(v conf.Value) {
		p := &parser{rules: &Rules{}, names: map[string]string{}, doc: new(conf.Doc)}
		p.root(v)
	})
}

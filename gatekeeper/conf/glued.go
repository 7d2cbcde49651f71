package conf

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// unglued mends how the parser reads `{approvers: [slack:S0RELEASE]}`: in
// YAML 1.2 (section 7.3.3) a colon that no space follows belongs to the plain
// scalar, and inside a list within a flow map the parser takes it for a key.
func unglued(node ast.Node) ast.Node {
	m, ok := node.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) != 1 {
		return node
	}
	pair := m.Values[0]
	key, isText := pair.Key.(*ast.StringNode)
	value, single := scalar(pair.Value)
	if !isText || !single {
		return node
	}
	colon, behind := pair.GetToken().Position, pair.Value.GetToken().Position
	if behind.Line != colon.Line || behind.Column != colon.Column+1 {
		return node
	}
	text := key.Value + ":" + value
	return ast.String(token.String(text, text, key.GetToken().Position))
}

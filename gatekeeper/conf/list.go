package conf

import "github.com/goccy/go-yaml/ast"

// Strings reads a list of texts, or one text as a list of one.
func (v Value) Strings() []string {
	var all []string
	for _, item := range v.Items() {
		if s := item.Required(); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// Items are a list's values, or the value itself as the only one.
func (v Value) Items() []Value {
	if v.rec != nil {
		v.rec.shape.alone = true
		return v.List()
	}
	if !v.Present() {
		return nil
	}
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		return []Value{v}
	}
	items := make([]Value, len(list.Values))
	for i, node := range list.Values {
		items[i] = v.doc.value(node, v.name, v.line, v.column)
		if !items[i].Present() {
			items[i].line, items[i].column = entryPlace(list, i, v)
			items[i].wrong("nothing stands here; a list's value is wanted")
		}
	}
	return items
}

// entryPlace is where the dash of an entry stands, else the list.
func entryPlace(list *ast.SequenceNode, i int, v Value) (line, column int) {
	if i >= len(list.Entries) || list.IsFlowStyle || list.Entries[i].Start == nil {
		return v.line, v.column
	}
	return list.Entries[i].Start.Position.Line, list.Entries[i].Start.Position.Column
}

// List wants a list.
func (v Value) List() []Value {
	if v.rec != nil {
		return []Value{v.rec.item(v)}
	}
	if _, ok := v.node.(*ast.SequenceNode); v.Present() && !ok {
		v.wrong("%s was found; a list is wanted", kind(v.node))
		return nil
	}
	return v.Items()
}

// Need wants something to stand there, in a list at least one value. hint
// says what to write.
func (v Value) Need(hint string) {
	if v.rec != nil {
		v.rec.need()
		v.rec.shape.filled = true
		return
	}
	list, isList := v.node.(*ast.SequenceNode)
	switch {
	case !v.Present():
		v.wrong("is missing; %s", hint)
	case isList && len(list.Values) == 0:
		v.wrong("is empty; %s", hint)
	case v.IsMap() && len(pairs(v.node)) == 0:
		v.wrong("is empty; %s", hint)
	}
}

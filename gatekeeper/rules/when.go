package rules

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// whenCost bounds one evaluation, in CEL's own units; a comparison costs one
// or two.
const whenCost = 10_000

// condition is a compiled `when`: CEL over `claims`.
type condition struct {
	source  string
	program cel.Program
	claims  []string // named in the expression; each has to be in the token
}

// whenFault is one thing wrong in an expression. Lines count from 1, columns
// from 0, as CEL counts them.
type whenFault struct {
	line, column int
	message      string
}

// whens compiles each expression once: rules of a thousand repositories often
// share theirs.
type whens struct {
	env  *cel.Env
	done map[string]compiledWhen
}

type compiledWhen struct {
	condition *condition
	faults    []whenFault
}

func (w *whens) compile(source string) (*condition, []whenFault) {
	if had, ok := w.done[source]; ok {
		return had.condition, had.faults
	}
	if w.env == nil {
		env, err := cel.NewEnv(cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)), cel.ASTValidators(cel.ValidateRegexLiterals()))
		if err != nil {
			return nil, []whenFault{{1, 0, err.Error()}}
		}
		w.env, w.done = env, map[string]compiledWhen{}
	}
	var done compiledWhen
	done.condition, done.faults = compileWhen(w.env, source)
	w.done[source] = done
	return done.condition, done.faults
}

// compileWhen type-checks an expression. Claims can only be named, as
// claims.actor or claims["actor"]: then each can be wanted to be there, and no
// negation is true because a claim is absent (threats row 4).
func compileWhen(env *cel.Env, source string) (*condition, []whenFault) {
	fails := func(why string) (*condition, []whenFault) { return nil, []whenFault{{1, 0, why}} }
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, celFaults(issues)
	}
	if !checked.OutputType().IsExactType(types.BoolType) {
		return fails(fmt.Sprintf("it gives %s; it has to give true or false", checked.OutputType()))
	}
	names, err := namedClaims(checked.NativeRep().Expr())
	if err != nil {
		return fails(err.Error())
	}
	program, err := env.Program(checked, cel.CostLimit(whenCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return fails(err.Error())
	}
	return &condition{source: source, program: program, claims: names}, nil
}

func celFaults(issues *cel.Issues) []whenFault {
	var all []whenFault
	for _, e := range issues.Errors() {
		all = append(all, whenFault{max(1, e.Location.Line()), max(0, e.Location.Column()), e.Message})
	}
	return all
}

// always says whether the condition comes out the same for every workload,
// and how.
func (c *condition) always() (same, holds bool) {
	if c == nil || len(c.claims) > 0 {
		return false, false
	}
	return true, c.mismatch(nil) == ""
}

// namedClaims lists the claims an expression names, and refuses any other use
// of the map.
func namedClaims(root ast.Expr) ([]string, error) {
	uses, named := 0, map[string]int{}
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == "claims" {
			uses++
		}
		if name, ok := claimName(e); ok {
			named[name]++
		}
	}))
	total := 0
	var names []string
	for name, n := range named {
		total += n
		names = append(names, name)
	}
	if uses != total {
		return nil, fmt.Errorf("claims can only be named, as claims.actor or claims[\"actor\"]; over the whole map an absent claim could count as a match")
	}
	slices.Sort(names)
	return names, nil
}

func claimName(e ast.Expr) (string, bool) {
	isClaims := func(x ast.Expr) bool { return x.Kind() == ast.IdentKind && x.AsIdent() == "claims" }
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().FieldName(), isClaims(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index || len(call.Args()) != 2 || !isClaims(call.Args()[0]) || call.Args()[1].Kind() != ast.LiteralKind {
			return "", false
		}
		name, ok := call.Args()[1].AsLiteral().Value().(string)
		return name, ok
	}
	return "", false
}

// mismatch says why the condition is not true, "" when it is.
func (c *condition) mismatch(claims map[string]any) string {
	for _, name := range c.claims {
		if claimText(claims, name) == "" && !composite(claims[name]) {
			return "claim " + name + " is absent"
		}
	}
	out, _, err := c.program.Eval(map[string]any{"claims": plainNumbers(claims, c.claims)})
	switch {
	case err != nil:
		return "it cannot be evaluated: " + err.Error()
	case out != types.True:
		return "it is false"
	}
	return ""
}

func composite(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return false
}

// plainNumbers gives CEL the named claims, numbers as whole or floating ones.
func plainNumbers(claims map[string]any, names []string) map[string]any {
	out := make(map[string]any, len(names))
	for _, name := range names {
		out[name] = claims[name]
		if n, ok := claims[name].(interface {
			Int64() (int64, error)
			Float64() (float64, error)
		}); ok {
			if i, err := n.Int64(); err == nil {
				out[name] = i
			} else if f, err := n.Float64(); err == nil {
				out[name] = f
			}
		}
	}
	return out
}

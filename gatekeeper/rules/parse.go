package rules

import (
	"regexp"
	"strconv"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// parser reads files into rules. What editors can check stands in conf's
// readers alone: `rules schema` is recorded from them.
type parser struct {
	o     Options
	rules *Rules
	docs  []*conf.Doc
	doc   *conf.Doc         // of the file that is being read
	names map[string]string // rule or freeze → where it stands
	whens whens
	at    []places // of each rule, for warnings
	other struct { // where freezes, break glass and tests stand
		freezes, glass, tests []places
	}
}

// places are where parts stand.
type places struct {
	broken                                   bool // has errors: what else it may mean is idle talk
	rule, match, environment, approval, when conf.Value
	keys                                     []conf.Value // in the order of matchKeys
	claims                                   *conf.Object
	notify, wanted                           conf.Value
	exchanges                                []conf.Value
}

func (p *parser) faults() conf.Faults {
	var all conf.Faults
	for _, d := range p.docs {
		all = append(all, d.Faults()...)
	}
	return all
}

func (p *parser) root(root conf.Value) {
	o := root.Object()
	for _, v := range o.Get("rules").List() {
		p.rule(v)
	}
	for _, v := range o.Get("freezes").List() {
		p.freeze(v)
	}
	for _, v := range o.Get("break_glass").List() {
		p.breakGlass(v)
	}
	for _, v := range o.Get("tests").List() {
		p.test(v)
	}
	o.Close()
}

func (p *parser) rule(v conf.Value) {
	before := p.doc.Errors()
	o := v.Object()
	r := &rule{file: v.File(), line: v.Line(), column: v.Column()}
	r.Name = p.name(o.Get("name"))
	r.observe = o.Get("mode").Enum("enforce", "enforce", "observe") == "observe"
	at := places{rule: v, match: o.Get("match"), environment: o.Get("environment"), approval: o.Get("approval"), notify: o.Get("notify")}
	at.match.Need("say which workloads the rule is for")
	r.match = p.match(at.match, &at)
	_, r.environments = environments(at.environment, "name the environments that the rule is for")
	r.Approval = approval(at.approval)
	r.Notify = notify(at.notify)
	r.Credentials = credentials(o.Get("credentials"), &at)
	o.Close()
	r.Digest = digest(struct {
		Rule    gatekeeper.Rule
		Match   string
		Env     string
		Observe bool
	}{r.Rule, r.match.canonical(), sources(r.environments), r.observe})
	at.broken = p.doc.Errors() > before
	p.rules.rules = append(p.rules.rules, r)
	p.at = append(p.at, at)
}

// ruleName goes into session names, metrics and messages.
var ruleName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)

func (p *parser) name(v conf.Value) string {
	v.Need("give it a name of its own")
	name := v.Shaped(ruleName, "is no name; letters, digits, dot, dash and underscore are taken, 64 at most")
	if name == "" {
		return ""
	}
	if where, ok := p.names[name]; ok {
		v.Fault("a rule %q stands already at %s", name, where)
	}
	p.names[name] = v.File() + ":" + strconv.Itoa(v.Line())
	return name
}

// environments are names or patterns, compared without regard to case.
func environments(v conf.Value, hint string) (names []string, patterns []pattern) {
	v.Need(hint)
	names = v.Strings()
	for _, name := range names {
		patterns = append(patterns, compile(name, true))
	}
	return names, patterns
}

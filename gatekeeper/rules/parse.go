package rules

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// parser reads files into rules.
type parser struct {
	o     Options
	rules *Rules
	docs  []*conf.Doc
	names map[string]string // rule → where it stands
	at    []places          // of each rule, for warnings
}

// places are where a rule's parts stand.
type places struct {
	rule, match, environment, approval, event conf.Value
	repository, repositoryID, owner           conf.Value
	exchanges                                 []conf.Value
}

func (p *parser) faults() conf.Faults {
	var all conf.Faults
	for _, d := range p.docs {
		all = append(all, d.Faults()...)
	}
	return all
}

func (p *parser) file(f File) {
	root, doc := conf.Parse(f.Name, f.Body, conf.Options{})
	p.docs = append(p.docs, doc)
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

// ruleName goes into session names, metrics and messages.
var ruleName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)

func (p *parser) rule(v conf.Value) {
	o := v.Object()
	r := &rule{file: v.File(), line: v.Line(), column: v.Column()}
	at := places{rule: v, match: o.Get("match"), environment: o.Get("environment"), approval: o.Get("approval")}
	r.Name = p.name(o.Get("name"))
	r.observe = o.Get("mode").Enum("enforce", "enforce", "observe") == "observe"
	r.match = p.match(at.match, &at)
	_, r.environments = environments(at.environment, "name the environments that the rule is for")
	r.Approval = approval(at.approval)
	r.Notify = notify(o.Get("notify"))
	r.Credentials = credentials(o.Get("credentials"), &at)
	o.Close()
	r.Digest = digest(struct {
		Rule    gatekeeper.Rule
		Match   string
		Env     string
		Observe bool
	}{r.Rule, r.match.canonical(), sources(r.environments), r.observe})
	p.rules.rules = append(p.rules.rules, r)
	p.at = append(p.at, at)
}

func (p *parser) name(v conf.Value) string {
	name := v.Required()
	if name == "" {
		return ""
	}
	if !ruleName.MatchString(name) {
		v.Fault("%q is no name; letters, digits, dot, dash and underscore are taken, 64 at most", name)
	}
	if where, ok := p.names[name]; ok {
		v.Fault("a rule %q stands already at %s", name, where)
	}
	p.names[name] = fmt.Sprintf("%s:%d", v.File(), v.Line())
	return name
}

func (p *parser) match(v conf.Value, at *places) matcher {
	var m matcher
	if !v.Present() {
		v.Fault("is missing; say which workloads the rule is for")
	}
	o := v.Object()
	for _, key := range matchKeys() {
		values := o.Get(key.name)
		var patterns []pattern
		for _, s := range values.Strings() {
			patterns = append(patterns, compile(s, key.fold))
		}
		if patterns != nil {
			m.keys = append(m.keys, keyMatcher{key.name, key.value, patterns})
		}
		switch key.name {
		case "issuer":
			p.issuer(values)
		case "event":
			m.event, at.event = values.Present(), values
		case "repository":
			at.repository = values
		case "repository_id":
			at.repositoryID = values
		case "repository_owner":
			at.owner = values
		}
	}
	m.keys = append(m.keys, claims(o.Get("claims"))...)
	m.when = when(o.Get("when"))
	o.Close()
	if len(m.keys) == 0 && m.when == nil && v.Present() {
		v.Fault("it matches every workload; name at least its repository or owner")
	}
	return m
}

func (p *parser) issuer(v conf.Value) {
	if len(p.o.Issuers) > 1 && !v.Present() {
		v.Fault("is missing; several issuers are configured: %s", strings.Join(p.o.Issuers, ", "))
	}
	for _, item := range v.Items() {
		name := item.String("")
		if p.o.Issuers == nil || name == "" {
			continue
		}
		if pat := compile(name, false); !anyMatchesName(pat, p.o.Issuers) {
			item.Fault("no issuer %q is configured; there is %s", name, strings.Join(p.o.Issuers, ", "))
		}
	}
}

func anyMatchesName(p pattern, names []string) bool {
	for _, n := range names {
		if p.matches(n) {
			return true
		}
	}
	return false
}

func claims(v conf.Value) []keyMatcher {
	o := v.Object()
	var all []keyMatcher
	for _, name := range o.Keys() {
		var patterns []pattern
		for _, item := range o.Get(name).Items() {
			if s := item.String(""); s != "" {
				patterns = append(patterns, compile(s, false))
			} else {
				item.Fault("is empty; an absent or empty claim never matches")
			}
		}
		if patterns == nil {
			o.KeyFault(name, "has no value; say what the claim has to be")
			continue
		}
		all = append(all, keyMatcher{"claims." + name, func(w *gatekeeper.Workload) string { return claimText(w.Claims, name) }, patterns})
	}
	return all
}

func when(v conf.Value) *condition {
	source := v.String("")
	if source == "" {
		return nil
	}
	c, err := compileWhen(source)
	if err != nil {
		v.Fault("%v", err)
		return nil
	}
	return c
}

// canonical spells the match block in one way, for the rule's digest.
func (m matcher) canonical() string {
	var b strings.Builder
	for _, k := range m.keys {
		fmt.Fprintf(&b, "%q=%q\n", k.key, sources(k.patterns))
	}
	if m.when != nil {
		fmt.Fprintf(&b, "when=%q\n", m.when.source)
	}
	return b.String()
}

func (p *parser) freeze(v conf.Value) {
	o := v.Object()
	f := freeze{Name: p.name(o.Get("name"))}
	f.Environments, f.patterns = environments(o.Get("environments"), "name the environments that are frozen")
	from, to, schedule := o.Get("from"), o.Get("to"), o.Get("schedule")
	f.From, f.To = from.Time(), to.Time()
	switch {
	case schedule.Present() && (from.Present() || to.Present()):
		schedule.Fault("stands beside from and to; a freeze is either absolute or weekly")
	case schedule.Present():
		f.Weekly = week(schedule)
	case !from.Present() || !to.Present():
		v.Fault("freeze %s has no time; give from and to, or a schedule", f.Name)
	case !f.From.IsZero() && !f.To.IsZero() && !f.To.After(f.From):
		to.Fault("%s is not after from", f.To.Format(time.RFC3339))
	}
	f.Deny, f.Group = effect(o.Get("effect"), f.Name)
	o.Close()
	p.rules.freezes = append(p.rules.freezes, f)
}

func effect(v conf.Value, name string) (deny bool, g gatekeeper.Group) {
	if !v.IsMap() {
		if !v.Present() {
			v.Fault("is missing; it is deny, or {quorum, approvers}")
		}
		return v.Enum("deny", "deny") == "deny", g
	}
	o := v.Object()
	g = gatekeeper.Group{Name: "freeze " + name, Approvers: approvers(o.Get("approvers")), Quorum: o.Get("quorum").Int(1, 1)}
	o.Close()
	return false, g
}

func week(v conf.Value) *weekly {
	o := v.Object()
	w := &weekly{Zone: o.Get("timezone").String("UTC"), From: clock(o.Get("from")), To: clock(o.Get("to"))}
	for _, item := range o.Get("days").Items() {
		if day, ok := weekday(item.String("")); ok {
			w.Days = append(w.Days, day)
		} else {
			item.Fault("%q was found; Mon, Tue, Wed, Thu, Fri, Sat or Sun is wanted", item.Word())
		}
	}
	if len(w.Days) == 0 {
		o.Get("days").Fault("is missing; name the days")
	}
	var err error
	if w.location, err = time.LoadLocation(w.Zone); err != nil {
		o.Get("timezone").Fault("%q is no time zone; a name such as Europe/Berlin is wanted", w.Zone)
		w.location = time.UTC
	}
	o.Close()
	return w
}

func weekday(s string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if len(s) >= 3 && strings.EqualFold(s, day.String()[:min(len(s), len(day.String()))]) {
			return day, true
		}
	}
	return 0, false
}

func clock(v conf.Value) int {
	s := v.Required()
	if s == "" {
		return 0
	}
	t, err := time.Parse("15:04", s)
	if err != nil && s != "24:00" {
		v.Fault("%q was found; a time of day such as \"16:00\" is wanted", s)
		return 0
	}
	if s == "24:00" {
		return 23*60 + 59
	}
	return t.Hour()*60 + t.Minute()
}

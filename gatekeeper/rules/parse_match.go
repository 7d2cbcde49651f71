package rules

import (
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

func (p *parser) match(v conf.Value, at *places) matcher {
	var m matcher
	o := v.Object()
	at.keys = make([]conf.Value, 0, len(matchKeys))
	for _, key := range matchKeys {
		values := o.Get(key.name)
		at.keys = append(at.keys, values)
		if patterns := globs(values, key.fold); patterns != nil {
			m.keys = append(m.keys, keyMatcher{key.name, key.value, patterns})
		}
		switch key.name {
		case "issuer":
			p.issuer(values)
		case "event":
			m.event = values.Present()
		}
	}
	at.claims = o.Get("claims").Object()
	m.keys = append(m.keys, claims(at.claims)...)
	at.when = o.Get("when")
	m.when = p.when(at.when)
	o.Close()
	if known := at.claims.Present() || at.when.Present(); known && len(m.keys) == 0 && m.when == nil {
		v.Fault("it matches every workload; name at least its repository or owner")
	}
	return m
}

// globs are the patterns of a list, or of the one that stands alone. An empty
// list would match nothing, or be taken for no condition: it is neither.
func globs(v conf.Value, fold bool) []pattern {
	if v.Present() && len(v.Items()) == 0 {
		v.Fault("is empty; name what it has to be, or leave it out")
	}
	return patternsOf(v, fold)
}

func patternsOf(v conf.Value, fold bool) []pattern {
	var patterns []pattern
	for _, s := range v.Strings() {
		patterns = append(patterns, compile(s, fold))
	}
	return patterns
}

func (p *parser) issuer(v conf.Value) {
	if len(p.o.Issuers) > 1 && !v.Present() {
		v.Fault("is missing; several issuers are configured: %s", strings.Join(p.o.Issuers, ", "))
	}
	for _, item := range v.Items() {
		name := item.Word()
		if p.o.Issuers == nil || name == "" {
			continue
		}
		if pat := compile(name, false); !matchesAny(pat, p.o.Issuers) {
			item.Fault("no issuer %q is configured; there is %s", name, strings.Join(p.o.Issuers, ", "))
		}
	}
}

func matchesAny(p pattern, names []string) bool {
	for _, n := range names {
		if p.matches(n) {
			return true
		}
	}
	return false
}

func claims(o *conf.Object) []keyMatcher {
	var all []keyMatcher
	for _, name := range o.Keys() {
		v := o.Get(name)
		v.Need("say what the claim has to be; an absent one never matches")
		if patterns := patternsOf(v, false); patterns != nil {
			value := func(w *gatekeeper.Workload) string { return claimText(w.Claims, name) }
			all = append(all, keyMatcher{"claims." + name, value, patterns})
		}
	}
	return all
}

func (p *parser) when(v conf.Value) *condition {
	source := v.String("")
	if source == "" {
		return nil
	}
	c, faults := p.whens.compile(source)
	for _, f := range faults {
		v.Inside(f.line, f.column).Fault("%s", f.message)
	}
	return c
}

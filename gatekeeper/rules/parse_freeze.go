package rules

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

func (p *parser) freeze(v conf.Value) {
	o := v.Object()
	f := freeze{Name: p.name(o.Get("name")), file: v.File(), line: v.Line(), column: v.Column()}
	at := places{rule: v, environment: o.Get("environments")}
	f.Environments, f.patterns = environments(at.environment, "name the environments that are frozen")
	o.Choice("give from and to, or a schedule", "a freeze is either absolute or weekly",
		[]string{"from", "to"}, []string{"schedule"})
	from, to, schedule := o.Get("from"), o.Get("to"), o.Get("schedule")
	f.From, f.To = from.Time(), to.Time()
	if schedule.Present() {
		f.Weekly = week(schedule)
	} else if !f.From.IsZero() && !f.To.IsZero() && !f.To.After(f.From) {
		to.Fault("%s is not after from", f.To.Format(time.RFC3339))
	}
	f.Deny, f.Group = effect(o.Get("effect"), f.Name)
	o.Close()
	p.rules.freezes = append(p.rules.freezes, f)
	p.other.freezes = append(p.other.freezes, at)
}

func effect(v conf.Value, name string) (deny bool, g gatekeeper.Group) {
	v.Need("it is deny, or {quorum, approvers}")
	if !v.IsMap() {
		return v.Enum("deny", "deny") == "deny", g
	}
	o := v.Object()
	o.Get("approvers").Need("name who may approve in the freeze")
	g = gatekeeper.Group{Name: "freeze " + name, Approvers: approvers(o.Get("approvers")), Quorum: o.Get("quorum").Int(1, 1)}
	enough(o.Get("quorum"), g)
	o.Close()
	return false, g
}

func week(v conf.Value) *weekly {
	o := v.Object()
	w := &weekly{Zone: o.Get("timezone").String("UTC")}
	w.From, w.To = clock(o.Get("from")), clock(o.Get("to"))
	if w.From >= lastMinute+1 {
		o.Get("from").Fault("24:00 is where a day ends; 00:00 is where the next begins")
	}
	w.To = min(w.To, lastMinute)
	o.Get("days").Need("name the days, such as [Sat, Sun]")
	for _, item := range o.Get("days").Items() {
		day, ok := weekday(item.Matching(weekdays, "Mon, Tue, Wed, Thu, Fri, Sat or Sun"))
		if ok && slices.Contains(w.Days, day) {
			item.Fault("%s stands twice", item.Word())
		} else if ok {
			w.Days = append(w.Days, day)
		}
	}
	w.location = zone(o.Get("timezone"), w.Zone)
	o.Close()
	return w
}

// zone wants a name that means the same on every machine.
func zone(v conf.Value, name string) *time.Location {
	location, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" && v.Present() {
		v.Fault("%q is no time zone; a name such as Europe/Berlin is wanted", name)
		return time.UTC
	}
	return location
}

var weekdays = regexp.MustCompile(`^([Mm]on(day)?|[Tt]ue(s(day)?)?|[Ww]ed(nesday)?|[Tt]hu(r(s(day)?)?)?|[Ff]ri(day)?|[Ss]at(urday)?|[Ss]un(day)?|MON|TUE|WED|THU|FRI|SAT|SUN)$`)

func weekday(s string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if len(s) >= 3 && strings.EqualFold(s[:3], day.String()[:3]) {
			return day, true
		}
	}
	return 0, false
}

// lastMinute of a day, counted from midnight.
const lastMinute = 24*60 - 1

var clockShape = regexp.MustCompile(`^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$`)

// clock is a time of day in minutes.
func clock(v conf.Value) int {
	v.Need(`a time of day such as "16:00" is wanted`)
	s := v.Matching(clockShape, `a time of day such as "16:00"`)
	switch s {
	case "":
		return 0
	case "24:00":
		return lastMinute + 1
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		v.Fault("%q was found; a time of day such as \"16:00\" is wanted", s)
	}
	return t.Hour()*60 + t.Minute()
}

package rules

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// The most that a Tally keeps, so that a ledger of any length can be replayed.
const (
	maxExamples = 5
	maxGroups   = 10_000
)

// Shift is one way in which outcomes change, with how often and for whom.
type Shift struct {
	Count       int       `json:"count"`
	Issuer      string    `json:"issuer"`
	Repository  string    `json:"repository"`
	Environment string    `json:"environment"`
	Old         Verdict   `json:"old"`
	New         Verdict   `json:"new"`
	Changes     []string  `json:"changes"`
	Examples    []string  `json:"examples"` // the first ids
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// Tally counts replayed askings. Its zero value is ready.
type Tally struct {
	Requests int       `json:"requests"` // replayed in all
	Changed  int       `json:"changed"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	// Beyond are changed ones that are counted and no longer told apart.
	Beyond int `json:"beyond,omitempty"`

	shifts map[string]*Shift
}

// Add counts one asking and says how its outcome changes, nil when it does
// not.
func (t *Tally) Add(before, after *Rules, a Asking) *Shift {
	t.Requests++
	t.First, t.Last = span(t.First, t.Last, a.At)
	was, is, changes := Replay(before, after, a)
	if len(changes) == 0 {
		return nil
	}
	t.Changed++
	one := &Shift{
		Count: 1, Issuer: a.Workload.Issuer, Repository: orElse(a.Workload.Repository, a.Workload.Subject), Environment: a.Environment,
		Old: was, New: is, Changes: changes, Examples: []string{a.ID}, First: a.At, Last: a.At,
	}
	t.merge(one)
	return one
}

func (t *Tally) merge(one *Shift) {
	if t.shifts == nil {
		t.shifts = map[string]*Shift{}
	}
	key := strings.Join(append([]string{one.Issuer, one.Repository, one.Environment}, one.Changes...), "\x00")
	s := t.shifts[key]
	switch {
	case s != nil:
		s.Count++
		s.First, s.Last = span(s.First, s.Last, one.First)
		if len(s.Examples) < maxExamples && !slices.Contains(s.Examples, one.Examples[0]) {
			s.Examples = append(s.Examples, one.Examples[0])
		}
	case len(t.shifts) < maxGroups:
		kept := *one
		kept.Examples = slices.Clone(one.Examples)
		t.shifts[key] = &kept
	default:
		t.Beyond++
	}
}

func span(first, last, at time.Time) (time.Time, time.Time) {
	if first.IsZero() || at.Before(first) {
		first = at
	}
	if at.After(last) {
		last = at
	}
	return first, last
}

// Shifts are the ways in which outcomes change, the most frequent first.
func (t *Tally) Shifts() []Shift {
	all := []Shift{}
	for _, s := range t.shifts {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Shift) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Repository, b.Repository), strings.Compare(a.Environment, b.Environment),
			strings.Compare(a.Issuer, b.Issuer), slices.Compare(a.Changes, b.Changes))
	})
	return all
}

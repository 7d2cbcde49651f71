package web

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// The plot's measure: so many days back, in a picture of that size.
const (
	plotDays   = 30
	plotWidth  = 720
	plotHeight = 100
)

// insightsView is requests and waiting times by environment.
type insightsView struct {
	Days         []string // first and last
	Environments []environmentView
	Most         int // requests of one environment on one day
	Seen         int
}

// environmentView is one environment's month. Times are from opening to the
// decision of people; what expired or was withdrawn waited for none.
type environmentView struct {
	Name                           string
	Total, Approved, Denied, Ended int
	Median, Slow                   time.Duration // of half, and of nine in ten
	Longest                        time.Duration // median of a day
	Bars, Waits                    []bar         // requests a day, and the day's median wait
}

// bar is one day in the picture.
type bar struct {
	X, Y, Width, Height int
	Label               string
}

func (p *pages) insights(w http.ResponseWriter, r *http.Request, s session) error {
	found, err := p.Books.Find(r.Context(), gatekeeper.Filter{Limit: 20000})
	if err != nil {
		return err
	}
	p.views.show(w, http.StatusOK, "insights", view{Title: "Insights", Me: s, At: "insights", Body: measure(found, p.Now())})
	return nil
}

// measure sorts the month's requests by environment and day.
func measure(all []gatekeeper.Request, now time.Time) insightsView {
	today := now.UTC().Truncate(24 * time.Hour)
	first := today.AddDate(0, 0, 1-plotDays)
	v := insightsView{Days: []string{first.Format("2 Jan"), today.Format("2 Jan")}}
	byName := map[string]*month{}
	for _, r := range all {
		day := int(r.CreatedAt.UTC().Sub(first) / (24 * time.Hour))
		if r.CreatedAt.Before(first) || day >= plotDays {
			continue
		}
		name := gatekeeper.FoldEnvironment(r.Environment)
		if byName[name] == nil {
			byName[name] = &month{first: first, name: r.Environment}
		}
		byName[name].add(r, day)
		v.Seen++
	}
	months := slices.SortedFunc(maps.Values(byName), func(a, b *month) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.name, b.name))
	})
	for _, m := range months {
		v.Most = max(v.Most, slices.Max(m.days[:]))
	}
	for _, m := range months {
		v.Environments = append(v.Environments, m.view(v.Most))
	}
	return v
}

// month counts one environment.
type month struct {
	first                          time.Time
	name                           string
	days                           [plotDays]int
	total, approved, denied, ended int
	waits                          []time.Duration
	dayWaits                       [plotDays][]time.Duration
}

func (m *month) add(r gatekeeper.Request, day int) {
	m.days[day]++
	m.total++
	switch r.State {
	case gatekeeper.Approved, gatekeeper.Revoked:
		m.approved++
	case gatekeeper.Denied:
		m.denied++
	case gatekeeper.Expired, gatekeeper.Canceled, gatekeeper.Superseded:
		m.ended++
	}
	if len(r.Votes) > 0 && !r.DecidedAt.IsZero() {
		wait := r.Votes[len(r.Votes)-1].At.Sub(r.CreatedAt)
		m.waits, m.dayWaits[day] = append(m.waits, wait), append(m.dayWaits[day], wait)
	}
}

func (m *month) view(most int) environmentView {
	v := environmentView{Name: m.name, Total: m.total, Approved: m.approved, Denied: m.denied, Ended: m.ended}
	slices.Sort(m.waits)
	if n := len(m.waits); n > 0 {
		v.Median, v.Slow = m.waits[n/2], m.waits[min(n-1, n*9/10)]
	}
	var medians [plotDays]time.Duration
	for i, waits := range m.dayWaits {
		if slices.Sort(waits); len(waits) > 0 {
			medians[i] = waits[len(waits)/2]
		}
	}
	v.Longest = slices.Max(medians[:])
	for i, n := range m.days {
		day := m.first.AddDate(0, 0, i).Format("2 Jan")
		v.Bars = append(v.Bars, column(i, float64(n)/float64(max(most, 1)), day+": "+gatekeeper.Count(n, "request")))
		v.Waits = append(v.Waits, column(i, medians[i].Seconds()/max(v.Longest.Seconds(), 1), day+": half decided within "+since(medians[i])))
	}
	return v
}

// column is a day's bar of that part of the picture's height.
func column(day int, part float64, label string) bar {
	width, high := plotWidth/plotDays, int(part*plotHeight)
	return bar{X: day * width, Y: plotHeight - high, Width: width - 4, Height: high, Label: label}
}

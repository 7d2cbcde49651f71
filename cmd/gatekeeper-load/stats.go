package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// figures are the times that one kind of call took. It is safe for concurrent
// use.
type figures struct {
	name string
	mu   sync.Mutex
	all  []time.Duration
	bad  int
	why  string        // the first fault
	took time.Duration // of the whole phase
}

func (f *figures) add(d time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if f.bad++; f.bad == 1 {
			f.why = err.Error()
		}
		return
	}
	f.all = append(f.all, d)
}

// time runs do and keeps how long it took.
func (f *figures) time(do func() error) {
	began := time.Now()
	err := do()
	f.add(time.Since(began), err)
}

// at is the time within which that part of the calls were answered.
func (f *figures) at(part float64) time.Duration {
	if len(f.all) == 0 {
		return 0
	}
	slices.Sort(f.all)
	return f.all[min(len(f.all)-1, int(part*float64(len(f.all))))]
}

// rate is how many were answered in a second.
func (f *figures) rate() float64 {
	if f.took <= 0 {
		return 0
	}
	return float64(len(f.all)) / f.took.Seconds()
}

func (f *figures) row(out io.Writer) {
	fmt.Fprintf(out, "| %-28s | %7d | %6d | %9.0f | %9s | %9s | %9s |\n", f.name, len(f.all), f.bad, f.rate(), short(f.at(0.5)), short(f.at(0.99)), short(f.at(1)))
}

func header(out io.Writer) {
	fmt.Fprintf(out, "| %-28s | %7s | %6s | %9s | %9s | %9s | %9s |\n|%s|\n", "phase", "calls", "failed", "per s", "p50", "p99", "max",
		strings.Join([]string{strings.Repeat("-", 30), "--------:", "-------:", "----------:", "----------:", "----------:", "----------:"}, "|"))
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// histogram draws the times in steps that double.
func (f *figures) histogram(out io.Writer) {
	const width = 50
	steps := map[int]int{}
	most, first, last := 0, 1<<30, 0
	for _, d := range f.all {
		step := 0
		for limit := 250 * time.Microsecond; d > limit; limit *= 2 {
			step++
		}
		steps[step]++
		most, first, last = max(most, steps[step]), min(first, step), max(last, step)
	}
	fmt.Fprintf(out, "\n%s:\n", f.name)
	for step := first; step <= last; step++ {
		limit := 250 * time.Microsecond << step
		fmt.Fprintf(out, "  up to %9s %6d %s\n", short(limit), steps[step], strings.Repeat("█", steps[step]*width/max(most, 1)))
	}
}

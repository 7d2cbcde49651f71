package main

import (
	"context"
	"time"
)

// sizes are 1, 10 and 100 times one, or the first two of a tenth.
func (o growthOptions) sizes(one int) []int {
	if o.short {
		return []int{one / 10, one}
	}
	return []int{one, 10 * one, 100 * one}
}

// driven measures a gatekeeper of each size in a process of its own.
func driven(ctx context.Context, c *curve, sizes []int, at func(n int) options, row func(b *borne, o options) []float64) (*curve, error) {
	for _, n := range sizes {
		b, err := drive(ctx, at(n))
		if err == nil {
			err = b.failed()
		}
		if err != nil {
			return nil, err
		}
		c.points = append(c.points, point{float64(n), row(b, at(n))})
	}
	return c, nil
}

// requests grows what is stored.
func (o growthOptions) requests(ctx context.Context) (*curve, error) {
	c := &curve{name: "requests", title: "As stored requests grow", over: "stored requests", columns: []column{
		{"requests opened", "", "a second"}, {"click to the waiting step", "p50", "ms"}, {"click to the waiting step", "p99", "ms"}, {"resident memory", "", "MiB"},
	}}
	at := func(n int) options {
		return options{binary: o.binary, history: n, runs: 2000, waiting: 200, clicks: 200, workers: 64}
	}
	if o.short {
		at = func(n int) options {
			return options{binary: o.binary, history: n, runs: 100, waiting: 10, clicks: 10, workers: 16}
		}
	}
	return driven(ctx, c, o.sizes(1000), at, func(b *borne, _ options) []float64 {
		return []float64{b.opened.rate(), ms(b.reached.at(0.5)), ms(b.reached.at(0.99)), float64(b.requests) / (1 << 20)}
	})
}

// waiters grows the steps that wait, on one replica.
func (o growthOptions) waiters(ctx context.Context) (*curve, error) {
	c := &curve{name: "waiters", title: "As steps that wait at one replica grow", over: "waiting steps", columns: []column{
		{"memory of a waiting step", "", "KiB"}, {"click to the waiting step", "p50", "ms"}, {"click to the waiting step", "p99", "ms"}, {"resident memory", "", "MiB"},
	}}
	at := func(n int) options {
		return options{binary: o.binary, runs: n, waiting: n, clicks: min(n, 200), workers: 64}
	}
	return driven(ctx, c, o.sizes(100), at, func(b *borne, at options) []float64 {
		return []float64{b.each(at) / 1024, ms(b.reached.at(0.5)), ms(b.reached.at(0.99)), float64(b.waiting) / (1 << 20)}
	})
}

// ledger grows what is recorded.
func (o growthOptions) ledger(ctx context.Context) (*curve, error) {
	c := &curve{name: "ledger", title: "As events in the ledger grow", over: "events", columns: []column{
		{"time", "append", "µs"}, {"time", "prove an event", "µs"}, {"hashes read", "append", "hashes"}, {"hashes read", "prove an event", "hashes"},
	}}
	return o.benched(ctx, c, "./gatekeeper/ledger", 1000, []series{
		{"Append", "sec/op", 1e6}, {"Prove", "sec/op", 1e6}, {"Append", "reads/op", 1}, {"Prove", "reads/op", 1},
	})
}

// rules grows what is configured.
func (o growthOptions) rules(ctx context.Context) (*curve, error) {
	c := &curve{name: "rules", title: "As rules grow", over: "rules", columns: []column{
		{"load", "", "ms"}, {"decide", "allowed", "µs"}, {"decide", "refused", "µs"},
	}}
	return o.benched(ctx, c, "./gatekeeper/rules", 100, []series{{"Load", "sec/op", 1e3}, {"Decide", "sec/op", 1e6}, {"Refuse", "sec/op", 1e6}})
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

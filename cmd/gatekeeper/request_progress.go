package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// progress tells the person who reads the job's log what is being waited for:
// a line on each change, one each minute, and no more.
type progress struct {
	mu     sync.Mutex
	out    io.Writer
	now    func() time.Time
	last   api.Request
	until  time.Time
	broken bool
}

func newProgress(out io.Writer, now func() time.Time) *progress { return &progress{out: out, now: now} }

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(format, args...)
}

func (p *progress) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// opened says what is asked for and where people approve it.
func (p *progress) opened(r api.Request, timeout time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.until = r, p.now().Add(timeout)
	if r.ExpiresAt.Before(p.until) {
		p.until = r.ExpiresAt
	}
	p.line("Asking for %s: %s at %s", oneLine(r.Environment), oneLine(r.Workload.Repository), short(r.Workload.SHA))
	p.line("  rule      %s", oneLine(r.Rule))
	if r.Reason != "" {
		p.line("  reason    %s", oneLine(r.Reason))
	}
	if r.State == gatekeeper.Pending {
		p.line("  approve   in Slack, or at %s", oneLine(r.URL))
		p.line("  waiting   %s", p.standing())
	}
}

// seen prints a line when votes changed.
func (p *progress) seen(r api.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := votes(p.last)
	p.last = r
	if r.State == gatekeeper.Pending && votes(r) != before {
		p.line("  waiting   %s", p.standing())
	}
}

// everyMinute prints where things stand until ctx ends or stop is called.
func (p *progress) everyMinute(ctx context.Context) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.mu.Lock()
				p.line("  waiting   %s", p.standing())
				p.mu.Unlock()
			}
		}
	}()
	return stop
}

// standing is votes so far and time left.
func (p *progress) standing() string {
	left := max(0, p.until.Sub(p.now())).Round(time.Second)
	text := fmt.Sprintf("%d of %d approved", len(p.last.Approval.ApprovedBy), p.last.Approval.Quorum)
	if by := approvers(p.last); by != "" {
		text += " (" + by + ")"
	}
	if p.broken {
		text += ", gatekeeper out of reach"
	}
	return text + ", " + left.String() + " left"
}

// ended says how it came out.
func (p *progress) ended(r api.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = r
	if r.State == gatekeeper.Approved {
		by := approvers(r)
		if by == "" {
			by = "rule " + oneLine(r.Rule) + ", which asks nobody"
		}
		p.line("Approved by %s.", by)
	}
}

// trouble tells once that the gatekeeper is out of reach, and when it is back.
func (p *progress) trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && !p.broken:
		p.line("  trouble   %s; trying again", said(err))
	case err == nil && p.broken:
		p.line("  back      the gatekeeper answers again")
	}
	p.broken = err != nil
}

// lost says whether the gatekeeper was out of reach at last.
func (p *progress) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

func votes(r api.Request) string { return fmt.Sprint(len(r.Approval.ApprovedBy), approvers(r)) }

func approvers(r api.Request) string {
	var all []string
	for _, v := range r.Approval.ApprovedBy {
		name := v.Name
		if name == "" {
			name = v.Slack
		}
		all = append(all, oneLine(name))
	}
	return strings.Join(all, ", ")
}

func short(sha string) string { return sha[:min(len(sha), 10)] }

// oneLine keeps a stranger's text from starting a line of its own, where a
// runner would take it for a workflow command (`::set-env …`), from holding
// the older form that runners also take in the middle of a line (`##[…]`), and
// from driving a terminal.
func oneLine(s string) string {
	return strings.ReplaceAll(printableLine(s), "##[", "# #[")
}

func printableLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069') {
			return -1
		}
		return r
	}, s)
}

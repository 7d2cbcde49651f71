package store

import "time"

const (
	// clockSlack is how far a clock may go back without being taken for one
	// that was set: time servers move it by less.
	clockSlack = 2 * time.Second
	// mostIdle is more than a runner ever waits between two looks at its work.
	mostIdle = 3 * maxSleep
	// soon is how far ahead work is taken to have been due already when the
	// clock goes back: the longest pause after failures, and a little.
	soon = 6 * time.Minute
)

// claimed is the database's time at the last claim of this process, zero
// before the first.
func (s *Store) claimed() time.Time {
	if at := s.lastClaim.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// clockMoved keeps work going when the database's clock was set, ahead or
// back, since the last claim: times that were written by the old one mean
// nothing by the new one.
func (t *tx) clockMoved(last time.Time) error {
	back, ahead := t.now.Add(clockSlack).Before(last), !last.IsZero() && t.now.After(last.Add(mostIdle))
	if !back && !ahead && !last.IsZero() {
		return nil
	}
	if back {
		t.w.s.o.Logger.Warn("the database's clock was set back", "from", last.UTC(), "to", t.now)
		if err := t.dueAgain(last); err != nil {
			return err
		}
	}
	return t.leaseAgain(ahead)
}

// dueAgain makes due what was, or soon was, by the old clock: it would wait
// until the new one is there. Work that comes early looks at the time itself.
func (t *tx) dueAgain(last time.Time) error {
	now := t.now.UnixNano()
	return t.exec(`UPDATE work SET run_at = ? WHERE leased = 0 AND run_at > ? AND run_at <= ?`, now, now, last.Add(soon).UnixNano())
}

// leaseAgain begins leases anew that end later than any taken now would, and
// those that a clock set ahead ended: whoever lives renews its own in time, and
// nobody else takes its work meanwhile.
func (t *tx) leaseAgain(ended bool) error {
	anew, over := t.now.Add(leaseTime), int64(-1)
	if ended {
		over = t.now.UnixNano()
	}
	return t.exec(`UPDATE work SET lease_until = ? WHERE leased = 1 AND (lease_until > ? OR lease_until <= ?)`,
		anew.UnixNano(), anew.Add(clockSlack).UnixNano(), over)
}

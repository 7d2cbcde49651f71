package gatekeeper

import "cmp"

// DigestDefault is the key of WorkDigest for rules that name no channel.
const DigestDefault = "default"

// Collected says whether people are asked in a digest. What a freeze made
// stricter is no low risk: it is asked at once.
func (r Request) Collected() bool {
	return r.Rule.Notify.Digest && r.Freeze == "" && !r.Rule.Approval.None
}

// Told says whether people get to see the request at all: one that nobody had
// to decide only where its rule asks for it.
func (r Request) Told() bool { return !r.Rule.Approval.None || r.Rule.Notify.AutoApproved }

// askWork is how people get to hear of a pending request. A digest is sent
// early enough to leave half of the time in which to decide.
func askWork(r Request) []Work {
	n := r.Rule.Notify
	work := []Work{messageWork(r.ID)}
	if r.Collected() {
		at := r.CreatedAt.Add(min(n.DigestEvery, r.Rule.Approval.ExpiresAfter/2))
		work = []Work{{Kind: WorkDigest, Key: cmp.Or(n.Channel, DigestDefault), RunAt: at}}
	}
	if n.RemindAfter > 0 {
		work = append(work, Work{Kind: WorkRemind, Key: r.ID, RunAt: r.CreatedAt.Add(n.RemindAfter)})
	}
	if n.EscalateAfter > 0 && len(n.EscalateTo) > 0 {
		work = append(work, Work{Kind: WorkEscalate, Key: r.ID, RunAt: r.CreatedAt.Add(n.EscalateAfter)})
	}
	return work
}

// tellWork is how people get to hear of a change: the message says it, and
// once people decided, so do its thread and the one who asked.
func tellWork(old, next Request) []Work {
	if !next.Told() {
		return nil
	}
	work := []Work{messageWork(next.ID)}
	if next.State != Pending {
		work = append(work, Work{Kind: WorkThread, Key: next.ID})
	}
	if next.State != old.State && !next.Rule.Approval.None {
		work = append(work, Work{Kind: WorkDirect, Key: next.ID})
	}
	return work
}

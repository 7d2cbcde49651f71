package slack

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// glanceAge is how old what an inbox shows may be. Votes are never counted on
// it: they look up everybody anew.
const glanceAge = time.Minute

// Glance is the directory for showing: what it looked up it keeps for a
// minute, so that refreshing many inboxes does not use up the calls that
// votes need (usergroups.users.list takes about 20 a minute).
func (d *Directory) Glance() gatekeeper.Directory {
	return &glance{d: d, standing: kept[gatekeeper.Standing]{clock: d.o.Clock}, groups: kept[[]string]{clock: d.o.Clock}}
}

type glance struct {
	d        *Directory
	standing kept[gatekeeper.Standing]
	groups   kept[[]string]
}

// Standing implements gatekeeper.Directory.
func (g *glance) Standing(ctx context.Context, p gatekeeper.Person) (gatekeeper.Standing, error) {
	return g.standing.get(p.Slack+" "+p.Team, func() (gatekeeper.Standing, error) { return g.d.Standing(ctx, p) })
}

// Member implements gatekeeper.Directory.
func (g *glance) Member(ctx context.Context, p gatekeeper.Person, a gatekeeper.Approver) (bool, error) {
	if a.Kind() != gatekeeper.ApproverSlackGroup {
		return g.d.Member(ctx, p, a)
	}
	members, err := g.groups.get(a.ID(), func() ([]string, error) { return g.d.members(ctx, a.ID()) })
	return err == nil && p.Slack != "" && slices.Contains(members, p.Slack), err
}

// kept are answers that are not yet too old. Failures are not kept.
type kept[T any] struct {
	clock func() time.Time

	mu  sync.Mutex
	all map[string]keptOne[T]
}

type keptOne[T any] struct {
	value T
	at    time.Time
}

// crowdKept bounds how many answers are kept before old ones go.
const crowdKept = 2000

func (k *kept[T]) get(key string, ask func() (T, error)) (T, error) {
	if value, ok := k.fresh(key); ok {
		return value, nil
	}
	value, err := ask()
	if err != nil {
		return value, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.all) >= crowdKept || k.all == nil {
		k.all = map[string]keptOne[T]{}
	}
	k.all[key] = keptOne[T]{value, k.clock()}
	return value, nil
}

func (k *kept[T]) fresh(key string) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, ok := k.all[key]
	return one.value, ok && k.clock().Sub(one.at) < glanceAge
}

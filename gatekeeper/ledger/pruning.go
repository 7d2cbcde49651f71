package ledger

import (
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Pruning is what a ledger.pruned event says: payloads of events before an
// index were, or may be from then on, replaced by their hashes. It is
// recorded before anything goes, so that a payload which is missing without
// one is a fault.
type Pruning struct {
	Before      time.Time `json:"before"`
	BeforeIndex int64     `json:"before_index"`
}

// Data is the pruning as an event's data.
func (p Pruning) Data() map[string]any {
	return map[string]any{"before": p.Before.UTC(), "before_index": p.BeforeIndex}
}

func pruningOf(e gatekeeper.Event) Pruning {
	index, _ := e.Data["before_index"].(float64) // exact below 2^53
	return Pruning{BeforeIndex: int64(index)}
}

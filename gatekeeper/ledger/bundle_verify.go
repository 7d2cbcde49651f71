package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/tlog"
)

// BundleOptions say whom to believe.
type BundleOptions struct {
	VerifierKey string // a trusted key of the ledger, needed: the one that signed the bundle's checkpoint, or one that rotated to it
	Checks      Checks
}

// BundleReport is what a bundle proves.
type BundleReport struct {
	Request string
	Head    Head
	Events  []gatekeeper.Event // in order; a pruned one has no content
	Pruned  int
	Keys    []string // from the trusted key to the one that signed the checkpoint
}

// VerifyBundle checks everything that a bundle says with nothing but the key.
// It returns a *Fault for the first event that does not hold.
func VerifyBundle(b Bundle, o BundleOptions) (BundleReport, error) {
	if _, err := PublicKey(o.VerifierKey); err != nil {
		return BundleReport{}, err
	}
	r := BundleReport{Request: b.Request}
	var err error
	if r.Head, r.Keys, err = b.head(o.VerifierKey); err != nil {
		return BundleReport{}, err
	}
	if len(b.Events) == 0 {
		return BundleReport{}, &Fault{Index: -1, What: "the bundle has no events"}
	}
	last := int64(-1)
	for _, e := range b.Events {
		event, err := e.verify(r.Head, b.Request, last, o.Checks)
		if err != nil {
			return BundleReport{}, err
		}
		last = e.Index
		if e.Body == "" {
			r.Pruned++
		}
		r.Events = append(r.Events, event)
	}
	return r, nil
}

// head verifies the checkpoint with the trusted key, or with the key that the
// proven rotations lead to from it.
func (b Bundle) head(trusted string) (Head, []string, error) {
	keys := []string{trusted}
	if head, err := OpenCheckpoint([]byte(b.Checkpoint), trusted); err == nil {
		return head, keys, nil
	}
	for i, k := range b.Keys {
		if keys[len(keys)-1] != k.from() {
			continue // of before the trusted key
		}
		next, err := k.follow(keys[len(keys)-1])
		if err != nil {
			return Head{}, nil, &Fault{Index: k.Index, What: fmt.Sprintf("rotation %d of the ledger's key does not hold: %s", i+1, describe(err))}
		}
		keys = append(keys, next)
	}
	head, err := OpenCheckpoint([]byte(b.Checkpoint), keys[len(keys)-1])
	if err != nil {
		return Head{}, nil, &Fault{Index: -1, What: "the bundle's checkpoint is not signed by the ledger's key, nor by one that it rotated to"}
	}
	return head, keys, b.consistent(head)
}

// from is the key that a rotation claims to follow.
func (k ProvenKey) from() string {
	var e struct {
		Data Rotation `json:"data"`
	}
	if json.Unmarshal([]byte(k.Body), &e) != nil {
		return ""
	}
	return e.Data.From
}

// follow believes the next key because the one before signed a tree with the
// rotation in it.
func (k ProvenKey) follow(trusted string) (string, error) {
	head, err := OpenCheckpoint([]byte(k.Checkpoint), trusted)
	if err != nil {
		return "", err
	}
	r, err := rotationOf([]byte(k.Body), head.Origin)
	if err != nil {
		return "", err
	}
	if _, err := OpenCheckpoint([]byte(k.Checkpoint), r.To); err != nil {
		return "", err
	}
	return r.To, tlog.CheckRecord(k.Proof, head.Size, tlog.Hash(head.Root), k.Index, tlog.RecordHash([]byte(k.Body)))
}

// consistent holds the trees in which the key rotated to be beginnings of the
// bundle's: it is one history.
func (b Bundle) consistent(whole Head) error {
	for _, k := range b.Keys {
		head, err := ReadHead([]byte(k.Checkpoint))
		if err == nil {
			err = tlog.CheckTree(k.Consistency, whole.Size, tlog.Hash(whole.Root), head.Size, tlog.Hash(head.Root))
		}
		if err != nil {
			return &Fault{Index: k.Index, What: "the history up to this rotation is not the beginning of the bundle's"}
		}
	}
	return nil
}

func (e ProvenEvent) verify(head Head, request string, after int64, checks Checks) (gatekeeper.Event, error) {
	fault := func(what string) error { return &Fault{Index: e.Index, What: what} }
	if e.Index <= after {
		return gatekeeper.Event{}, fault("the events are not in the ledger's order")
	}
	hash := tlog.RecordHash([]byte(e.Body))
	if e.Body == "" {
		var err error
		if hash, err = tlog.ParseHash(e.Pruned); err != nil {
			return gatekeeper.Event{}, fault("it has neither its payload nor its hash")
		}
	}
	if err := tlog.CheckRecord(e.Proof, head.Size, tlog.Hash(head.Root), e.Index, hash); err != nil {
		return gatekeeper.Event{}, fault("it is not part of the ledger that the checkpoint covers")
	}
	if e.Body == "" {
		return gatekeeper.Event{}, nil
	}
	var event gatekeeper.Event
	if err := json.Unmarshal([]byte(e.Body), &event); err != nil {
		return event, fault("it is no event: " + err.Error())
	}
	if event.Request != request {
		return event, fault(fmt.Sprintf("it belongs to request %q", event.Request))
	}
	if check, ok := checks[event.Type]; ok {
		if err := check(event); err != nil {
			return event, fault(describe(err))
		}
	}
	return event, nil
}

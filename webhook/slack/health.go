package slack

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Fault is something that does not work in Slack now, in words for the
// operator.
type Fault struct {
	Subject string    `json:"subject"` // the channel, person or method
	Error   string    `json:"error"`   // Slack's error code, "" where it did not answer
	What    string    `json:"what"`
	Since   time.Time `json:"since"`
	Times   int       `json:"times"`
}

// mostFaults bounds what is kept: a broken token fails everywhere at once.
const mostFaults = 50

// health keeps what does not work until it works again. It is kept in memory:
// what has to be done in spite of it is durable work.
type health struct {
	clock func() time.Time
	count func(method, code string) // of each failed call; nil: nobody counts

	mu     sync.Mutex
	faults map[string]Fault // by subject
}

func (h *health) failed(subject, method, code string, err *gatekeeper.Error) {
	if h.count != nil {
		h.count(method, countable(code, err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f, known := h.faults[subject]
	if !known && len(h.faults) >= mostFaults {
		return
	}
	if !known {
		f = Fault{Subject: subject, Since: h.clock()}
	}
	f.Error, f.What, f.Times = code, err.Description, f.Times+1
	h.faults[subject] = f
}

func (h *health) worked(subject string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.faults, subject)
	for name, f := range h.faults { // the token is good again, whatever it was that failed with it
		if tokenless(f.Error) {
			delete(h.faults, name)
		}
	}
}

func tokenless(code string) bool {
	return slices.Contains([]string{"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"}, code)
}

// countable bounds a metric's label: codes that we have words for.
func countable(code string, err *gatekeeper.Error) string {
	switch {
	case err.Code == gatekeeper.CodeSlowDown:
		return "ratelimited"
	case code == "":
		return "no_answer"
	case advice(code) != "":
		return code
	}
	return "other"
}

// Faults are what does not work in Slack now, the oldest first. Decisions do
// not wait for it: messages do.
func (s *Slack) Faults() []Fault {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	all := make([]Fault, 0, len(s.health.faults))
	for _, f := range s.health.faults {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Fault) int {
		if order := a.Since.Compare(b.Since); order != 0 {
			return order
		}
		return strings.Compare(a.Subject, b.Subject)
	})
	return all
}

package githubbox

import (
	"net/http"
	"strconv"
	"time"
)

// Fault is how a call fails.
type Fault struct {
	Status     int           // of the answer; 0: the connection is cut
	RetryAfter time.Duration // Retry-After, for secondary limits
	After      bool          // the call is done and its answer is lost
}

// faults say which calls fail. Calls are told apart by their pattern.
type faults struct {
	always *Fault
	next1  map[string][]Fault // by pattern, first come
	once   *Fault             // for each pattern, its first call
	failed map[string]bool
	held   map[string]chan struct{} // by pattern: answered when closed
}

func (f *faults) next(pattern string) (Fault, bool) {
	if f.always != nil {
		return *f.always, true
	}
	if queue := f.next1[pattern]; len(queue) > 0 {
		f.next1[pattern] = queue[1:]
		return queue[0], true
	}
	if f.once != nil && !f.failed[pattern] {
		f.failed[pattern] = true
		return *f.once, true
	}
	return Fault{}, false
}

func (f Fault) answer(w http.ResponseWriter) {
	if f.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	message := http.StatusText(f.Status)
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
		answer(w, f.Status, map[string]string{"message": "You have exceeded a secondary rate limit", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"})
		return
	}
	refuse(w, f.Status, message)
}

// Fail makes every answer this status until it is set to 0.
func (g *GitHub) Fail(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults.always = nil
	if status != 0 {
		g.faults.always = &Fault{Status: status}
	}
}

// Hold keeps a pattern's calls unanswered until release is called.
func (g *GitHub) Hold(pattern string) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.faults.held == nil {
		g.faults.held = map[string]chan struct{}{}
	}
	hold := make(chan struct{})
	g.faults.held[pattern] = hold
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.faults.held, pattern)
		close(hold)
	}
}

// FailNext makes the next call of a pattern, e.g.
// "GET /repos/{owner}/{repo}/installation", fail.
func (g *GitHub) FailNext(pattern string, f Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.faults.next1 == nil {
		g.faults.next1 = map[string][]Fault{}
	}
	g.faults.next1[pattern] = append(g.faults.next1[pattern], f)
}

// FailEachOnce makes the first call of each pattern fail.
func (g *GitHub) FailEachOnce(f Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults.once, g.faults.failed = &f, map[string]bool{}
}

// FailedOnce are the patterns that failed since FailEachOnce.
func (g *GitHub) FailedOnce() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for pattern := range g.faults.failed {
		all = append(all, pattern)
	}
	return all
}

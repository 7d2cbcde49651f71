package ciissuer

import (
	"encoding/json"
	"net/http"
)

// Fault is what goes wrong with the issuer's own answers: discovery and keys.
type Fault int

// The faults.
const (
	None        Fault = iota
	Down              // connections are closed without an answer
	ServerError       // 500
	NoKeys            // an empty key set
	Rubbish           // no JSON
	Slow              // no answer until the fault changes or the caller hangs up
)

// Set makes the issuer's answers go wrong, until None.
func (i *Issuer) Set(f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fault = f
	close(i.changed)
	i.changed = make(chan struct{})
}

// faulty answers instead where a fault is set.
func (i *Issuer) faulty(w http.ResponseWriter, r *http.Request) bool {
	i.mu.Lock()
	f, changed := i.fault, i.changed
	i.mu.Unlock()
	switch f {
	case Down:
		panic(http.ErrAbortHandler)
	case ServerError:
		http.Error(w, "boom", http.StatusInternalServerError)
	case Rubbish:
		_, _ = w.Write([]byte("<html>maintenance</html>"))
	case Slow:
		select {
		case <-changed:
			return i.faulty(w, r)
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	default:
		return false
	}
	return true
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// rawJSON is JSON that passes through.
type rawJSON = json.RawMessage

// read takes one JSON object of a script of ours.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the page sent something that cannot be read; load it again")
	}
	return nil
}

// script answers a script of ours.
func (p *pages) script(w http.ResponseWriter, r *http.Request, body any, err error) {
	if err != nil {
		p.failScript(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (p *pages) failScript(w http.ResponseWriter, r *http.Request, err error) {
	status, text := p.told(w, r, err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// fail shows an error as a page.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := p.told(w, r, err)
	v := view{Title: http.StatusText(status), Body: text}
	if s, ok := cookie[session](p, r, cookieSession); ok {
		v.Me = s
	}
	p.views.show(w, status, "error", v)
}

// told logs the cause and gives what the person may know.
func (p *pages) told(w http.ResponseWriter, r *http.Request, err error) (int, string) {
	var coded *gatekeeper.Error
	if !errors.As(err, &coded) {
		coded = gatekeeper.Wrap(err, gatekeeper.CodeInternal, "something went wrong here; the operator finds it in the log")
	}
	status := coded.Code.Status()
	p.Logger.InfoContext(r.Context(), "web: a page was refused", "path", r.URL.Path, "status", status, "error", err)
	if coded.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(coded.RetryAfter.Seconds())+1))
	}
	return status, coded.Description
}

package api

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// maxBody is the largest body that is read.
const maxBody = 64 << 10

// fail answers with an error: its code and description, never its cause.
func (s *server) fail(w *call, r *http.Request, err error) {
	var coded *gatekeeper.Error
	if !errors.As(err, &coded) {
		coded = gatekeeper.Wrap(err, gatekeeper.CodeInternal, "internal error; the operator finds it by request_id")
	}
	status := coded.Code.Status()
	if errors.Is(err, errMethod) {
		status = http.StatusMethodNotAllowed
	}
	s.log(r, w.id, status, err)
	body := ErrorBody{Error: coded.Code, Description: coded.Description, RequestID: w.id}
	if status == http.StatusInternalServerError {
		body.Error = gatekeeper.CodeInternal
	}
	if status == http.StatusUnauthorized { // RFC 6750 section 3
		w.Header().Set("WWW-Authenticate", `Bearer realm="gatekeeper", error="invalid_token"`)
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || coded.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(time.Second, coded.RetryAfter.Round(time.Second)).Seconds())))
	}
	reply(w, status, body)
}

func (s *server) log(r *http.Request, id string, status int, err error) {
	args := []any{"call", id, "method", r.Method, "path", r.URL.Path, "status", status, "error", err}
	if status >= http.StatusInternalServerError {
		s.Logger.ErrorContext(r.Context(), "a call failed", args...)
		return
	}
	s.Logger.InfoContext(r.Context(), "a call was refused", args...)
}

// call is an answer being written, with the call's id.
type call struct {
	http.ResponseWriter
	id     string
	route  string // "GET /v1/requests/{id}"
	began  time.Time
	status int
	parked bool // it is answered elsewhere
}

// Unwrap lets http.ResponseController reach the connection.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader remembers the status for metrics.
func (c *call) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func newCallID() string { return strings.ToLower(rand.Text()[:16]) }

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that hung up cannot be told
}

// decode reads the body, which has to be JSON.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Header.Get("Content-Type") != "" && (err != nil || kind != "application/json") {
		return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the body has to be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the body is larger than 64 KiB")
	case err != nil:
		return torn(err)
	}
	return unmarshal(body, into)
}

// torn is a body that did not arrive whole, unless a limit was in its way.
func torn(err error) error {
	if gatekeeper.CodeOf(err) == gatekeeper.CodeSlowDown {
		return err
	}
	return gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the body did not arrive whole")
}

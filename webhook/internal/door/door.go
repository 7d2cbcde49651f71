// Package door is what the HTTP ways in from Slack and GitHub share: how a
// signed POST's body is read, and what a stranger is told who is refused.
package door

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Door is one way in. The zero value takes no body at all.
type Door struct {
	Limit   int64  // bytes of the largest body
	NotPost string // what is told where the method is another one
	TooLong string // what is told where the body is larger than Limit
}

// ErrMethod is that of a request that is no POST.
var ErrMethod = errors.New("method not allowed")

// Body reads the body of a POST, raw: a signature is over these bytes, so
// nothing may parse them before it held.
func (d Door) Body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, ErrMethod
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, d.Limit))
}

// Status is what a refusal answers. Whatever has no better one is 503, after
// which the sender tries again.
func (d Door) Status(err error) (int, *gatekeeper.Error) {
	var large *http.MaxBytesError
	var coded *gatekeeper.Error
	switch {
	case errors.Is(err, ErrMethod):
		return http.StatusMethodNotAllowed, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s", d.NotPost)
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s", d.TooLong)
	case !errors.As(err, &coded):
		return http.StatusBadRequest, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the body cannot be read")
	case coded.Code == gatekeeper.CodeInvalidToken:
		return http.StatusUnauthorized, coded
	case coded.Code == gatekeeper.CodeInvalidRequest:
		return http.StatusBadRequest, coded
	}
	return http.StatusServiceUnavailable, coded
}

// Refuse answers in the API's error shape, and gives the answer's request_id,
// by which the log's line is found. The one who reads it may be a stranger: it
// says nothing of secrets.
func Refuse(w http.ResponseWriter, status int, coded *gatekeeper.Error) (id string) {
	id = strings.ToLower(rand.Text()[:16])
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Request-Id", id)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": string(coded.Code), "error_description": coded.Description, "request_id": id})
	return id
}

package door

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// A refusal has the shape of the API's errors, and an id that the log can name.
func TestRefuse(t *testing.T) {
	w := httptest.NewRecorder()
	id := Refuse(w, http.StatusUnauthorized, gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "the callback is not signed"))
	var body struct {
		Error            string `json:"error"`
		ErrorDescription string `json:"error_description"`
		RequestID        string `json:"request_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusUnauthorized {
		t.Fatalf("%d, %v", w.Code, err)
	}
	if body.Error != "invalid_token" || body.ErrorDescription != "the callback is not signed" || body.RequestID != id || len(id) != 16 || w.Header().Get("X-Request-Id") != id {
		t.Errorf("got %+v for %s", body, id)
	}
	if again := Refuse(httptest.NewRecorder(), http.StatusBadRequest, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "x")); again == id {
		t.Error("two refusals have one id")
	}
}

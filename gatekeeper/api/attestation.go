package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// attestation gives the workload what was approved, as an in-toto statement
// in a DSSE envelope.
func (s *server) attestation(_ http.ResponseWriter, r *http.Request, token string) (int, any, error) {
	q := r.URL.Query()
	for name := range q {
		if name != "artifact" {
			return 0, nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "there is no parameter %q; artifact=NAME@sha256:… is one", name)
		}
	}
	got, err := s.Gate.Show(r.Context(), token, r.PathValue("id"), gatekeeper.Wait{})
	if err != nil {
		return 0, nil, err
	}
	envelope, err := s.Attest(r.Context(), got, q["artifact"])
	return http.StatusOK, json.RawMessage(envelope), err
}

// Attestation is the envelope of an approved request; artifacts are what the
// job deploys, NAME@sha256:HEX.
func (c *Client) Attestation(ctx context.Context, id string, artifacts ...string) ([]byte, error) {
	query := ""
	if len(artifacts) > 0 {
		query = "?" + url.Values{"artifact": artifacts}.Encode()
	}
	return retry(ctx, c, func() ([]byte, error) {
		var envelope json.RawMessage
		_, err := c.once(ctx, http.MethodGet, "/v1/requests/"+url.PathEscape(id)+"/attestation"+query, "", nil, &envelope)
		return envelope, err
	})
}

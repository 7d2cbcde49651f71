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
	got, err := s.Gate.Show(r.Context(), token, r.PathValue("id"), gatekeeper.Wait{})
	if err != nil {
		return 0, nil, err
	}
	envelope, err := s.Attest(r.Context(), got)
	return http.StatusOK, json.RawMessage(envelope), err
}

// Attestation is the envelope of an approved request.
func (c *Client) Attestation(ctx context.Context, id string) ([]byte, error) {
	return retry(ctx, c, func() ([]byte, error) {
		var envelope json.RawMessage
		_, err := c.once(ctx, http.MethodGet, "/v1/requests/"+url.PathEscape(id)+"/attestation", "", nil, &envelope)
		return envelope, err
	})
}

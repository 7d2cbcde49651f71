package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// takenLine is one credential that was to be revoked, as the command shows it.
type takenLine struct {
	Redemption string                     `json:"redemption"`
	Credential string                     `json:"credential"`
	HandedOut  string                     `json:"handed_out"`
	State      gatekeeper.RevocationState `json:"state"`
	Detail     string                     `json:"detail"`
	Todo       string                     `json:"todo"`
}

// revokedAnswer is what came of `gatekeeper revoke`.
type revokedAnswer struct {
	State       gatekeeper.State `json:"state"`
	Credentials []takenLine      `json:"credentials"`
}

// orders carries out what an operator's commands tell the service. It is on
// the admin port, and still takes sealed orders only.
func (s *service) orders(w http.ResponseWriter, r *http.Request) {
	answer, err := s.order(w, r)
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		status, code, why := http.StatusServiceUnavailable, gatekeeper.CodeOf(err), "internal error; the log tells"
		var coded *gatekeeper.Error
		if errors.As(err, &coded) {
			why = coded.Description
		}
		switch code {
		case gatekeeper.CodeAccessDenied:
			status = http.StatusForbidden
		case gatekeeper.CodeNotFound:
			status = http.StatusNotFound
		case gatekeeper.CodeInvalidRequest:
			status = http.StatusConflict
		}
		s.log.Warn("an order was refused", "status", status, "error", err)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": string(code), "error_description": why})
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *service) order(w http.ResponseWriter, r *http.Request) (revokedAnswer, error) {
	secret, err := loadOrCreateSecret(s.cfg.SessionKey)
	if err != nil {
		return revokedAnswer{}, err
	}
	sealed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return revokedAnswer{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the order did not arrive whole")
	}
	o, err := openOrder(secret, sealed, time.Now())
	if err != nil {
		return revokedAnswer{}, err
	}
	if o.Do != "revoke" {
		return revokedAnswer{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "there is no such order")
	}
	if _, err := s.gate.TakeBack(r.Context(), o.Request, gatekeeper.Actor{Kind: "operator", ID: o.By}, o.Reason); err != nil {
		return revokedAnswer{}, err
	}
	return s.takenBack(r.Context(), o.Request)
}

// takenBack waits a while for the clouds' answers, and tells how far they are.
func (s *service) takenBack(ctx context.Context, id string) (revokedAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	changed, stop := s.store.Watch(id)
	defer stop()
	for {
		r, err := s.gate.Lookup(context.WithoutCancel(ctx), id)
		if err != nil {
			return revokedAnswer{}, err
		}
		answer, waiting := takenLines(r)
		if !waiting || ctx.Err() != nil {
			return answer, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func takenLines(r gatekeeper.Request) (answer revokedAnswer, waiting bool) {
	answer.State = r.State
	for _, d := range r.Redemptions {
		if d.Taken == nil || d.State == gatekeeper.RedemptionFailed {
			continue
		}
		waiting = waiting || d.Taken.State == gatekeeper.RevocationRequested
		answer.Credentials = append(answer.Credentials, takenLine{
			Redemption: d.ID, Credential: d.Credential, HandedOut: d.Detail, State: d.Taken.State, Detail: d.Taken.Detail, Todo: d.Taken.Todo,
		})
	}
	return answer, waiting
}

package gatekeeper

import (
	"context"
	"errors"
	"time"
)

// settleMargin is what recording a result may take beyond the exchange.
const settleMargin = 5 * time.Second

// Redeem hands out one credential of an approved request. The intent is
// recorded before the cloud is asked and the result after it; what cannot be
// recorded is not handed out (contract 3, threats rows 31, 32, 44).
func (g *Gate) Redeem(ctx context.Context, token, id string, ask RedeemAsk) (Credential, error) {
	w, err := g.Verifier.Verify(ctx, token, "")
	if err != nil {
		return Credential{}, err
	}
	if err := g.Store.UseToken(ctx, w.IssuerURL, w.Token); err != nil {
		return Credential{}, err
	}
	grant, err := g.intend(ctx, w, id, ask)
	if err != nil {
		return Credential{}, g.refused(ctx, w, id, ask, err)
	}
	return g.exchange(ctx, grant, ask.SubjectToken)
}

// intend checks everything and records the intent.
func (g *Gate) intend(ctx context.Context, w Workload, id string, ask RedeemAsk) (Grant, error) {
	r, err := g.Store.Get(ctx, id)
	if err != nil {
		return Grant{}, err
	}
	if err := r.BelongsTo(w); err != nil {
		return Grant{}, err
	}
	if err := r.open(w, ask.Name, g.Now()); err != nil {
		return Grant{}, err
	}
	if err := g.sameRun(ctx, r, w, ask); err != nil {
		return Grant{}, err
	}
	claim := Claim{ID: newID("red_"), Workload: w, Credential: ask.Name, People: g.People, Since: g.since(),
		Current: g.Rules.Decide(ctx, w, r.Environment, g.Now())}
	if claim.Votes, err = g.ballotsNow(ctx, r, claim.Current); err != nil {
		return Grant{}, err
	}
	return g.recordIntent(ctx, id, claim)
}

func (g *Gate) recordIntent(ctx context.Context, id string, claim Claim) (Grant, error) {
	var grant Grant
	var events []Event
	r, err := g.Store.Update(ctx, id, func(old Request, now time.Time) (Change, error) {
		claim.SettleBy = now.Add(g.ExchangeTimeout + settleMargin)
		var next Request
		var err error
		next, grant, events, err = old.Redeem(claim, now)
		if err != nil {
			return Change{}, err
		}
		work := append(followUp(old, next), Work{Kind: WorkSettle, Key: id, RunAt: claim.SettleBy}, homesWork(now))
		return Change{Request: next, Events: stamped(events), Work: work}, nil
	})
	if err != nil {
		return Grant{}, err
	}
	g.told(ctx, r, events)
	return grant, nil
}

// sameRun wants the second token to be of the same run and job as the first:
// otherwise one job's approval could be spent on another's session.
func (g *Gate) sameRun(ctx context.Context, r Request, w Workload, ask RedeemAsk) error {
	spec, ok := r.Credential(ask.Name)
	if !ok || spec.SubjectTokenAudience() == "" {
		return nil
	}
	if ask.SubjectToken == "" {
		return Errorf(CodeInvalidRequest, "credential %q needs a subject_token with audience %q", spec.Name, spec.SubjectTokenAudience())
	}
	subject, err := g.Verifier.Verify(ctx, ask.SubjectToken, spec.SubjectTokenAudience())
	if err != nil {
		return Wrap(err, CodeOf(err), "subject_token: %s", description(err))
	}
	if r.BelongsTo(subject) != nil || JobKey(subject) != JobKey(w) {
		return Errorf(CodeInvalidToken, "subject_token is of another run or job than the token that presents it")
	}
	return nil
}

// ballotsNow looks at everybody who approved as they are now.
func (g *Gate) ballotsNow(ctx context.Context, r Request, current Decision) ([]Ballot, error) {
	var ballots []Ballot
	for _, v := range r.ApprovedBy() {
		b, err := g.ballot(ctx, v, r.electing(v, current))
		if err != nil {
			return nil, &Error{Code: CodeUnavailable, RetryAfter: 2 * time.Second, Err: err,
				Description: "whether the approvers still may approve cannot be looked up right now; try again"}
		}
		ballots = append(ballots, b)
	}
	return ballots, nil
}

// exchange asks the cloud and records its answer. It goes on when the caller
// hangs up: the cloud's answer has to be recorded all the same.
func (g *Gate) exchange(ctx context.Context, grant Grant, subjectToken string) (Credential, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.ExchangeTimeout+settleMargin)
	defer cancel()
	asking, stop := context.WithTimeout(ctx, g.ExchangeTimeout)
	credential, err := g.Exchanger.Exchange(asking, grant, subjectToken)
	stop()
	settled, recordErr := g.update(ctx, grant.request.ID, func(r Request, now time.Time) (Request, []Event, error) {
		return r.Settle(grant.redemption.ID, resultOf(credential, err), now)
	})
	if recordErr != nil {
		return Credential{}, &Error{Code: CodeUnavailable, RetryAfter: time.Second, Err: errors.Join(recordErr, err),
			Description: "the result could not be recorded, so nothing is handed out; the attempt counts as unknown"}
	}
	if err != nil {
		return Credential{}, outward(err, settled.triesLeft(grant.redemption))
	}
	if settled.TakenBack != nil {
		return Credential{}, Errorf(CodeExpired, "its credentials were revoked while this one was obtained, so it is not handed out")
	}
	credential.Name = grant.credential.Name
	return credential, nil
}

func resultOf(c Credential, err error) Result {
	switch {
	case err == nil:
		return Result{State: RedemptionSucceeded, Detail: c.holder(), Handle: c.Handle, ExpiresAt: c.ExpiresAt,
			Data: map[string]any{"expires_at": c.ExpiresAt, "handle": c.Handle}}
	case CodeOf(err) == CodeExchangeFailed || CodeOf(err) == CodeUnavailable:
		return Result{State: RedemptionFailed, Detail: description(err)}
	}
	return Result{State: RedemptionUnknown, Detail: description(err)}
}

// lostAgain is how long a job waits before it asks again after an answer that
// was lost.
const lostAgain = time.Second

// outward is what a client sees of an exchanger's error. RetryAfter tells it
// that the same job may try again, left times: what failed for a moment and
// what is unknown (contract 3). A cloud's refusal stays one (threats row 39).
func outward(err error, left int) error {
	out := Error{Code: CodeExchangeFailed, RetryAfter: lostAgain, Err: err,
		Description: "the cloud's answer was lost, so the attempt counts as unknown"}
	var coded *Error
	if errors.As(err, &coded) && (coded.Code == CodeExchangeFailed || coded.Code == CodeUnavailable) {
		out = *coded
	}
	if out.Code == CodeUnavailable {
		out.RetryAfter = max(out.RetryAfter, lostAgain)
	}
	if out.RetryAfter > 0 && left <= 0 {
		out.Code, out.RetryAfter = CodeExchangeFailed, 0
		out.Description += "; it was the last of the attempts that this job has"
	}
	return &out
}

// refused records a redemption that was asked for and not allowed. Asking too
// early or too fast is no event, nor is what belongs to somebody else.
func (g *Gate) refused(ctx context.Context, w Workload, id string, ask RedeemAsk, err error) error {
	switch CodeOf(err) {
	case CodeAccessDenied, CodeExpired, CodeInvalidToken:
	default:
		return err
	}
	events := stamped([]Event{{
		Type: EventRedemptionRefused, Time: g.Now().UTC(), Request: id, Actor: workloadActor(w),
		Data: map[string]any{"credential": ask.Name, "job": JobKey(w), "refused": description(err), "token_sha256": w.Token.Hash},
	}})
	if recordErr := g.Store.Record(ctx, Change{Events: events}); recordErr != nil {
		return recordErr
	}
	g.told(ctx, Request{}, events)
	return err
}

// description is what a client may see of an error.
func description(err error) string {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Description
	}
	return "internal error"
}

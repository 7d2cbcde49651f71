package gatekeeper

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code says what kind of failure an [Error] is. It is what callers match on
// and what the API shows as "error"; texts are for people and may change.
type Code string

// The codes of the HTTP API, and the one for faults of our own.
const (
	CodeInvalidRequest  Code = "invalid_request"         // malformed or unknown input
	CodeInvalidToken    Code = "invalid_token"           // the token proves nothing
	CodeAccessDenied    Code = "access_denied"           // no rule allows it, or a person denied it
	CodeNotFound        Code = "not_found"               // unknown, or another workload's
	CodePending         Code = "authorization_pending"   // people have not decided yet
	CodeExpired         Code = "expired_token"           // expired, canceled, superseded, lapsed or used up
	CodeSlowDown        Code = "slow_down"               // too many; RetryAfter says when again
	CodeExchangeFailed  Code = "exchange_failed"         // the cloud refused
	CodeUnavailable     Code = "temporarily_unavailable" // storage, keys or a look-up out of reach; nothing half done
	CodeInternal        Code = "server_error"            // a fault of ours; also what an uncoded error counts as
	CodeExchangeUnknown Code = "exchange_unknown"        // an exchanger's word: the cloud may have issued something, its answer is lost
	CodeStepUp          Code = "step_up_required"        // an approval that counts once its person proved more; nothing was recorded
	CodeVoteRefused     Code = "vote_refused"            // a vote that does not count; the description is the private answer
)

// Status is the one table between what went wrong and the HTTP status that
// programs and people see. A code that is not in it is a fault of ours.
func (c Code) Status() int {
	switch c {
	case CodeInvalidRequest:
		return http.StatusBadRequest
	case CodeInvalidToken:
		return http.StatusUnauthorized
	case CodeAccessDenied, CodeStepUp, CodeVoteRefused:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodePending:
		return http.StatusConflict
	case CodeExpired:
		return http.StatusGone
	case CodeSlowDown:
		return http.StatusTooManyRequests
	case CodeExchangeFailed:
		return http.StatusBadGateway
	case CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Error is a failure with a code. Description is one sentence for the person
// who can fix it and never holds a secret. Err is the cause, for logs only:
// it is never shown to a client.
type Error struct {
	Code        Code
	Description string
	RetryAfter  time.Duration // zero: not said
	Err         error
}

// Errorf makes an Error whose description is formatted like fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// Wrap keeps cause for the logs behind a description that clients may see.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...), Err: cause}
}

// Error implements error. It includes the cause, so it is for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Code) + ": " + e.Description
	}
	return string(e.Code) + ": " + e.Description + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of the first Error in err's chain, [CodeInternal] for
// any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return CodeInternal
}

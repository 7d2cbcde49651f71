package ask

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Incomplete is the error for an answer that lacks what was asked for.
func Incomplete(cloud string) error {
	return gatekeeper.Errorf(gatekeeper.CodeExchangeUnknown, "%s answered without a complete credential", cloud)
}

// Lost is the error where there is no answer: whether something was issued is
// unknown, unless nothing was sent.
func Lost(err error, cloud string) error {
	if Unsent(err) {
		return gatekeeper.Errorf(gatekeeper.CodeUnavailable, "%s cannot be reached; nothing was issued, try again", cloud)
	}
	return gatekeeper.Errorf(gatekeeper.CodeExchangeUnknown, "the answer of %s was lost", cloud)
}

// refused is the error of an answer that is none, and whether to ask again.
func (c Call) refused(a answer) (error, bool) {
	if c.Refused != nil {
		c.Refused(a.status)
	}
	var r Refusal
	if c.Refusal != nil && a.status/100 != 3 {
		r = c.Refusal(a.body)
	}
	if a.status/100 == 5 && r.Code == "" && r.Message == "" {
		// Not the cloud's own words: something between may have lost its answer.
		return gatekeeper.Errorf(gatekeeper.CodeExchangeUnknown, "the answer of %s was lost: there was a %d instead", c.Cloud, a.status), again(a.status)
	}
	words := []string{strconv.Itoa(a.status)}
	if r.Code != "" {
		words = []string{Word(r.Code)}
	}
	if text := Text(r.Message, c.Secrets...); text != "" {
		words = append(words, "("+text+")")
	}
	if a.status/100 == 3 {
		r.Hint = "it points elsewhere, and a token is sent nowhere else"
	}
	err := gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "%s refused: %s", c.Cloud, strings.Join(words, " "))
	if r.Hint != "" {
		err.Description += "; " + r.Hint
	}
	err.RetryAfter = a.after
	return err, r.Again || again(a.status) || a.status == http.StatusForbidden && a.after > 0
}

func again(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

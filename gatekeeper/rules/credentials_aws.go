package rules

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// What STS takes (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
// and API_AssumeRoleWithWebIdentity.html; threats row 38).
const (
	minSession    = 15 * time.Minute
	maxSession    = 12 * time.Hour
	maxChained    = time.Hour // a role that assumes a role
	maxPolicy     = 2048
	maxPolicyARNs = 10
)

// Compiled when first used: bounds of hundreds take milliseconds, which every
// start of a CI step would pay.
var (
	roleARN    = lazily(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}$`)
	policyARN  = lazily(`^arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]{1,512}$`)
	externalID = lazily(`^[\w+=,.@:/-]{2,1000}$`)
	region     = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`)
)

func lazily(shape string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(shape) })
}

func awsSpec(o *conf.Object) *gatekeeper.AWSSpec {
	s := &gatekeeper.AWSSpec{
		RoleARN: shaped(o.Get("role_arn"), roleARN(), "arn:aws:iam::111122223333:role/name", true),
		Exchange: gatekeeper.Exchange(o.Get("exchange").Enum("workload_token",
			"workload_token", "gatekeeper_token", "assume_role")),
		Audience:        audience(o.Get("audience"), "sts.amazonaws.com"),
		SessionDuration: o.Get("session_duration").Duration(minSession),
		SessionPolicy:   sessionPolicy(o.Get("session_policy")),
		ExternalID:      shaped(o.Get("external_id"), externalID(), "2 to 1000 of letters, digits and +=,.@:/-", false),
		Region:          shaped(o.Get("region"), region, "eu-west-1", false),
	}
	for _, item := range o.Get("policy_arns").Items() {
		if arn := shaped(item, policyARN(), "arn:aws:iam::111122223333:policy/name", true); arn != "" {
			s.PolicyARNs = append(s.PolicyARNs, arn)
		}
	}
	if len(s.PolicyARNs) > maxPolicyARNs {
		o.Get("policy_arns").Fault("%d are given; STS takes %d at most", len(s.PolicyARNs), maxPolicyARNs)
	}
	sessionDuration(o.Get("session_duration"), *s)
	if s.Exchange != gatekeeper.ExchangeAssumeRole && s.ExternalID != "" {
		o.Get("external_id").Fault("is for exchange: assume_role only; AssumeRoleWithWebIdentity takes none")
	}
	partitions(o, *s)
	return s
}

func sessionDuration(v conf.Value, s gatekeeper.AWSSpec) {
	most := maxSession
	if s.Exchange == gatekeeper.ExchangeAssumeRole {
		most = maxChained // our own identity is a role as well, almost always
	}
	if s.SessionDuration < minSession || s.SessionDuration > most {
		v.Fault("%s was found; STS takes %s to %s for exchange: %s", s.SessionDuration, minSession, most, s.Exchange)
	}
}

// partitions are worlds of their own: a role of one is unknown to the STS of
// another (https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html).
func partitions(o *conf.Object, s gatekeeper.AWSSpec) {
	want := partition(s.RoleARN)
	if want == "" {
		return
	}
	if got := gatekeeper.AWSPartition(s.Region); s.Region != "" && got != want {
		o.Get("region").Fault("%s is a region of partition %s, the role is of %s", s.Region, got, want)
	}
	for _, item := range o.Get("policy_arns").Items() {
		if got := partition(item.Word()); got != "" && got != want {
			item.Fault("is a policy of partition %s, the role is of %s", got, want)
		}
	}
}

// partition is an ARN's second part.
func partition(arn string) string {
	parts := strings.SplitN(arn, ":", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}

// sessionPolicy is written as YAML and sent as compact JSON.
func sessionPolicy(v conf.Value) string {
	if !v.Present() || (v.IsMap() && len(v.Object().Keys()) == 0) {
		return ""
	}
	if !v.IsMap() {
		v.Fault("has to be a policy written as a map, with Version and Statement")
		return ""
	}
	body, err := json.Marshal(v.Any())
	switch {
	case err != nil:
		v.Fault("cannot be written as JSON: %v", err)
	case len(body) > maxPolicy:
		v.Fault("has %d characters as JSON; STS takes %d", len(body), maxPolicy)
	case !strings.Contains(string(body), `"Statement"`):
		v.Fault("has no Statement, so it would allow nothing")
	}
	return string(body)
}

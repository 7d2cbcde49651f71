package aws_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
)

func fault(status int, code string) stsbox.Fault { return stsbox.Fault{Status: status, Code: code} }

func repeat(f stsbox.Fault, n int) []stsbox.Fault {
	all := make([]stsbox.Fault, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// Threats row 39: what may go well is tried three times in all, a refusal
// once, and a lost answer never again, since it may have been a session.
func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		faults []stsbox.Fault
		calls  int
		code   gatekeeper.Code
		says   string
	}{
		"throttled once":      {[]stsbox.Fault{fault(400, "Throttling")}, 2, "", ""},
		"throttled otherwise": {[]stsbox.Fault{fault(400, "ThrottlingException")}, 2, "", ""},
		"issuer out once":     {[]stsbox.Fault{fault(400, "IDPCommunicationError")}, 2, "", ""},
		"503 twice":           {repeat(fault(503, "ServiceUnavailable"), 2), 3, "", ""},
		"a balancer's 502":    {[]stsbox.Fault{{Status: 502, Body: "<html>Bad Gateway</html>"}}, 2, "", ""},
		"503 for ever":        {repeat(fault(503, "ServiceUnavailable"), 9), 3, gatekeeper.CodeExchangeFailed, "ServiceUnavailable"},
		"issuer out for ever": {repeat(fault(400, "IDPCommunicationError"), 9), 3, gatekeeper.CodeExchangeFailed, "AWS cannot reach the token's issuer"},
		"denied":              {repeat(fault(403, "AccessDenied"), 9), 1, gatekeeper.CodeExchangeFailed, "sts:TagSession"},
		"expired":             {repeat(fault(400, "ExpiredTokenException"), 9), 1, gatekeeper.CodeExchangeFailed, "ExpiredTokenException; the token was too old"},
		"invalid":             {repeat(fault(400, "InvalidIdentityToken"), 9), 1, gatekeeper.CodeExchangeFailed, "InvalidIdentityToken; IAM needs an OIDC provider"},
		"refused by IdP":      {repeat(fault(403, "IDPRejectedClaim"), 9), 1, gatekeeper.CodeExchangeFailed, "IDPRejectedClaim"},
		"bad policy":          {repeat(fault(400, "MalformedPolicyDocument"), 9), 1, gatekeeper.CodeExchangeFailed, "session_policy"},
		"region off":          {repeat(fault(403, "RegionDisabledException"), 9), 1, gatekeeper.CodeExchangeFailed, "not enabled"},
		"unknown refusal":     {repeat(fault(400, "SomethingNew"), 9), 1, gatekeeper.CodeExchangeFailed, "refused: SomethingNew"},
		"no answer":           {[]stsbox.Fault{{}}, 1, gatekeeper.CodeExchangeUnknown, "lost"},
		"answer lost":         {[]stsbox.Fault{{After: true}}, 1, gatekeeper.CodeExchangeUnknown, "lost"},
		"answer is rubbish":   {[]stsbox.Fault{{Body: "<html>"}}, 1, gatekeeper.CodeExchangeUnknown, ""},
		"answer is no XML":    {[]stsbox.Fault{{Body: "{}"}}, 1, gatekeeper.CodeExchangeUnknown, ""},
		"answer is cut":       {[]stsbox.Fault{{Body: "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"}}, 1, gatekeeper.CodeExchangeUnknown, ""},
		"answer lacks a key":  {[]stsbox.Fault{{Body: answerWith("<AccessKeyId>ASIA</AccessKeyId>")}}, 1, gatekeeper.CodeExchangeUnknown, "complete"},
		"answer lacks times":  {[]stsbox.Fault{{Body: answerWith("<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>")}}, 1, gatekeeper.CodeExchangeUnknown, "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the SDK waits between tries
			b := begin(t)
			b.sts.Fail(c.faults...)
			got, err := b.exchange.Exchange(t.Context(), grantOf(t, web()), b.token())
			if gatekeeper.CodeOf(err) != c.code || b.sts.Calls() != c.calls || c.says != "" && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%d calls, %v; want %d and %q", b.sts.Calls(), err, c.calls, c.code)
			}
			if (got.AWS == nil) != (err != nil) {
				t.Errorf("a session of %v beside %v", got, err)
			}
		})
	}
}

func answerWith(credentials string) string {
	return "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>" +
		credentials + "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
}

// The bound holds against the SDK's environment too, which would raise it.
func TestTriesAreBounded(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "6")
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	b := begin(t)
	b.sts.Fail(repeat(fault(503, "ServiceUnavailable"), 9)...)
	if _, err := b.exchange.Exchange(t.Context(), grantOf(t, web()), b.token()); err == nil || b.sts.Calls() != 3 {
		t.Errorf("%d calls, %v", b.sts.Calls(), err)
	}
}

// Who hangs up does not know whether a session was issued.
func TestCanceled(t *testing.T) {
	b := begin(t)
	ctx, cancel := context.WithCancel(t.Context())
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		// net/http notices that the client is gone only once the body was read.
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(hung.Close)
	e := aws.New(aws.Options{Region: "eu-west-1", Endpoint: hung.URL})
	if _, err := e.Exchange(ctx, grantOf(t, web()), b.token()); gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeUnknown {
		t.Errorf("got %v", err)
	}
}

// Nothing was issued where nothing was sent: such attempts may be repeated.
func TestOutOfReach(t *testing.T) {
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(untrusted.Close)
	for name, endpoint := range map[string]string{
		"nobody listens": "http://127.0.0.1:1", "no such host": "http://sts.invalid", "another's certificate": untrusted.URL,
	} {
		t.Run(name, func(t *testing.T) {
			e := aws.New(aws.Options{Region: "eu-west-1", Endpoint: endpoint})
			if _, err := e.Exchange(t.Context(), grantOf(t, web()), "x.y.z"); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNothingToExchange(t *testing.T) {
	b := begin(t)
	for name, c := range map[string]struct {
		exchanger gatekeeper.Exchanger
		grant     gatekeeper.Grant
		code      gatekeeper.Code
	}{
		"no grant":          {b.exchange, gatekeeper.Grant{}, gatekeeper.CodeInternal},
		"no grant, direct":  {b.exchange["aws"], gatekeeper.Grant{}, gatekeeper.CodeInternal},
		"no region":         {aws.New(aws.Options{}), grantOf(t, web()), gatekeeper.CodeExchangeFailed},
		"another partition": {aws.New(aws.Options{Region: "cn-north-1"}), grantOf(t, web()), gatekeeper.CodeExchangeFailed},
		"no exchanger":      {sts.Exchangers{}, grantOf(t, web()), gatekeeper.CodeExchangeFailed},
		"no way":            {b.exchange, grantOf(t, gatekeeper.AWSSpec{}), gatekeeper.CodeExchangeFailed},
		"no key to sign":    {b.exchange, grantOf(t, gatekeeper.AWSSpec{Exchange: gatekeeper.ExchangeGatekeeperToken}), gatekeeper.CodeExchangeFailed},
		"no token":          {b.exchange, grantOf(t, web()), gatekeeper.CodeInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			token := "x.y.z"
			if name == "no token" {
				token = ""
			}
			if _, err := c.exchanger.Exchange(t.Context(), c.grant, token); gatekeeper.CodeOf(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
	if b.sts.Calls() != 0 {
		t.Errorf("STS was asked %d times", b.sts.Calls())
	}
}

// The identity that is missing is the gatekeeper's own: told as such, and not
// as an answer that was lost or a role that refused.
func TestNoIdentityOfOurOwn(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	b := begin(t)
	e := aws.New(aws.Options{Region: "eu-west-1", Endpoint: b.sts.URL()})
	_, err := e.Exchange(t.Context(), grantOf(t, gatekeeper.AWSSpec{Exchange: gatekeeper.ExchangeAssumeRole}), "")
	if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), "no AWS identity of its own") || b.sts.Calls() != 0 {
		t.Errorf("%d calls, %v", b.sts.Calls(), err)
	}
}

// Threats row 40: neither the token nor the session's secrets nor our own are
// in an error or a log, even where the answer repeats them.
func TestNothingTells(t *testing.T) {
	const secret, key = "c4n4ry-secret", "c4n4ry-own"
	for name, f := range map[string]func(token string) stsbox.Fault{
		"code":    func(token string) stsbox.Fault { return fault(403, token) },
		"body":    func(token string) stsbox.Fault { return stsbox.Fault{Status: 403, Body: "you sent " + token} },
		"rubbish": func(token string) stsbox.Fault { return stsbox.Fault{Body: "<a>" + token} },
		"incomplete": func(string) stsbox.Fault {
			return stsbox.Fault{Body: answerWith("<SecretAccessKey>" + secret + "</SecretAccessKey>")}
		},
		"lost": func(string) stsbox.Fault { return stsbox.Fault{After: true} },
	} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			log := &bytes.Buffer{}
			e := aws.New(aws.Options{Region: "eu-west-1", Endpoint: b.sts.URL(), Credentials: credentials.NewStaticCredentialsProvider("AKIAOURS", key, ""),
				Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			token := b.token()
			b.sts.Fail(f(token))
			_, err := e.Exchange(t.Context(), grantOf(t, web()), token)
			if err == nil {
				t.Fatal("it went well")
			}
			told := fmt.Sprintf("%v %+v %#v", err, err, err) + log.String()
			for part := range strings.SplitSeq(token+"."+secret+"."+key, ".") {
				if strings.Contains(told, part) {
					t.Errorf("%s tells a secret", name)
				}
			}
		})
	}
}

package kms_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/kmsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws/kms"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
)

type bench struct {
	box    *kmsbox.KMS
	now    time.Time
	log    *bytes.Buffer
	server *httptest.Server
	*issuer.Issuer
}

func begin(t *testing.T, box *kmsbox.KMS, keys ...kms.Key) *bench {
	t.Helper()
	b := &bench{box: box, now: time.Now(), log: &bytes.Buffer{}}
	clock := func() time.Time { return b.now }
	source, err := kms.New(kms.Options{Keys: keys, Endpoint: box.URL(), Credentials: credentials.NewStaticCredentialsProvider("AKIAOURS", "c4n4ry", ""),
		Logger: slog.New(slog.NewTextHandler(b.log, nil)), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.Handler().ServeHTTP(w, r) }))
	t.Cleanup(b.server.Close)
	if b.Issuer, err = issuer.New(issuer.Options{URL: b.server.URL, Keys: source, Now: clock}); err != nil {
		t.Fatal(err)
	}
	return b
}

func start(t *testing.T) *kmsbox.KMS {
	t.Helper()
	box := kmsbox.Start()
	t.Cleanup(box.Close)
	return box
}

func create(t *testing.T, box *kmsbox.KMS, usage string) string {
	t.Helper()
	arn, err := box.Create(usage, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// mint is a token and its kid's place: a cloud verifies it by the key set as
// it is served.
func (b *bench) mint(t *testing.T) error {
	t.Helper()
	raw, err := b.Mint(t.Context(), ststest.Grant(t, gatekeeper.CredentialSpec{Type: "oidc", OIDC: &gatekeeper.OIDCSpec{Audience: "aud"}}), "aud")
	if err != nil {
		return err
	}
	trust := cloudbox.Trust{Issuer: b.server.URL, Audiences: []string{"aud"}, Now: func() time.Time { return b.now }}
	if _, err := trust.Verify(t.Context(), raw); err != nil {
		t.Errorf("KMS signed what does not verify: %v", err)
	}
	return nil
}

func TestSigns(t *testing.T) {
	box := start(t)
	b := begin(t, box, kms.Key{ARN: create(t, box, "SIGN_VERIFY")})
	for range 3 {
		if err := b.mint(t); err != nil {
			t.Fatal(err)
		}
	}
	if calls := box.Calls(""); calls != 4 {
		t.Errorf("%d calls; one for the public key and three signatures were expected", calls)
	}
}

// Rotation: the next key is published at once and signs when its time comes.
func TestRotation(t *testing.T) {
	box := start(t)
	at := time.Now().Add(time.Hour)
	b := begin(t, box, kms.Key{ARN: create(t, box, "SIGN_VERIFY")}, kms.Key{ARN: create(t, box, "SIGN_VERIFY"), SignsFrom: at})
	kids := func() int {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
		return strings.Count(w.Body.String(), `"kid"`)
	}
	for _, step := range []struct {
		now  time.Time
		keys int
	}{{b.now, 2}, {at, 2}, {at.Add(7 * time.Minute), 1}} {
		b.now = step.now
		if err := b.mint(t); err != nil || kids() != step.keys {
			t.Errorf("at %s: %d keys, %v", step.now, kids(), err)
		}
	}
}

// Whatever goes wrong at KMS, nothing is issued, and it works again after.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, b *bench, arn string)
		want  string
	}{
		"disabled": {func(_ *testing.T, b *bench, arn string) { b.box.Disable(arn, true) }, "DisabledException; the key is disabled"},
		"denied":   {func(_ *testing.T, b *bench, _ string) { b.box.Fail(kmsbox.Denied()) }, "AccessDeniedException; the gatekeeper's AWS identity needs kms:Sign"},
		"throttled": {func(_ *testing.T, b *bench, _ string) {
			b.box.Fail(kmsbox.Throttled(), kmsbox.Throttled(), kmsbox.Throttled())
		}, "ThrottlingException"},
		"rubbish":        {func(_ *testing.T, b *bench, _ string) { b.box.Fail(cloudbox.Fault{Body: "<html>"}) }, ""},
		"no signature":   {func(_ *testing.T, b *bench, _ string) { b.box.Fail(cloudbox.Fault{Body: "{}"}) }, ""},
		"another's key":  {func(t *testing.T, b *bench, arn string) { b.box.Swap(arn, create(t, b.box, "SIGN_VERIFY")) }, ""},
		"repeats itself": {func(_ *testing.T, b *bench, _ string) { b.box.Fail(cloudbox.Fault{Status: 400, Echo: true}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the SDK waits between tries
			box := start(t)
			arn := create(t, box, "SIGN_VERIFY")
			b := begin(t, box, kms.Key{ARN: arn})
			if err := b.mint(t); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, b, arn)
			err := b.mint(t)
			if gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if told := fmt.Sprintf("%v %#v", err, err) + b.log.String(); strings.Contains(told, "c4n4ry") || strings.Contains(told, "Signature=") {
				t.Errorf("it tells a secret: %s", told)
			}
		})
	}
}

// A gatekeeper starts while KMS is out of reach: it issues nothing and shows
// no key set until KMS is back.
func TestStartsWithoutKMS(t *testing.T) {
	box := start(t)
	arn := create(t, box, "SIGN_VERIFY")
	box.Disable(arn, true)
	b := begin(t, box, kms.Key{ARN: arn})
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
	if w.Code != http.StatusServiceUnavailable || b.Ready(t.Context()) == nil || gatekeeper.CodeOf(b.mint(t)) != gatekeeper.CodeUnavailable {
		t.Errorf("without a key: %d %s", w.Code, w.Body)
	}
	if calls := box.Calls(""); calls != 1 {
		t.Errorf("KMS was asked %d times at once", calls)
	}
	box.Disable(arn, false)
	b.now = b.now.Add(3 * time.Second)
	if err := b.mint(t); err != nil || b.Ready(t.Context()) != nil {
		t.Errorf("KMS is back: %v", err)
	}
}

// A key that cannot be had keeps its turn: the one before it has retired, and
// clouds may have forgotten it.
func TestMissingKeyKeepsItsTurn(t *testing.T) {
	box := start(t)
	now := time.Now()
	next := create(t, box, "SIGN_VERIFY")
	box.Disable(next, true)
	b := begin(t, box, kms.Key{ARN: create(t, box, "SIGN_VERIFY")}, kms.Key{ARN: next, SignsFrom: now.Add(-time.Hour)})
	if err := b.mint(t); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("the older key signs: %v", err)
	}
}

func TestNoSuchKey(t *testing.T) {
	box := start(t)
	for _, arn := range []string{"", "key/1", "arn:aws:kms:eu-west-1:111122223333:alias/gatekeeper", "arn:aws:s3:::bucket"} {
		if _, err := kms.New(kms.Options{Keys: []kms.Key{{ARN: arn}}}); gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest {
			t.Errorf("%q: %v", arn, err)
		}
	}
	if _, err := kms.New(kms.Options{}); err == nil {
		t.Error("no keys at all")
	}
	b := begin(t, box, kms.Key{ARN: create(t, box, "ENCRYPT_DECRYPT")})
	if err := b.mint(t); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable || !strings.Contains(err.Error(), "create-key --key-usage SIGN_VERIFY") {
		t.Errorf("a key for encryption: %v", err)
	}
}

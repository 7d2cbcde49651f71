// Package stsbox is a stand-in for AWS STS: the Query protocol with its XML
// answers and error codes, web identity tokens verified against their
// issuer's keys, role trust, and the limits that AWS documents. It can be
// told to fail, and listens on loopback only.
package stsbox

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Role is one IAM role.
type Role struct {
	ARN string
	// Issuer whose tokens may assume it, "" for none, and what their claims
	// have to be (StringEquals on <issuer>:<claim>).
	Issuer string
	Claims map[string]string
	// AccessKeys whose identities may assume it (AssumeRole), with ExternalID
	// where it has one.
	AccessKeys []string
	ExternalID string
}

// Session is one that was issued.
type Session struct {
	Role, Name, SourceIdentity, Policy string
	PolicyARNs                         []string
	Tags                               map[string]string
	AccessKeyID                        string
	Duration                           time.Duration
}

// Fault is what the next calls answer instead.
type Fault struct {
	Status int    // e.g. 400 or 503; 0 closes the connection
	Code   string // of AWS, e.g. Throttling
	After  bool   // the session is issued first: its answer is lost
	Body   string // answered as it is, with Status or else 200
}

// STS is the stand-in.
type STS struct {
	server *httptest.Server

	mu        sync.Mutex
	providers map[string][]string // issuer → audiences
	roles     map[string]Role
	keys      map[string]string // access key → secret
	faults    []Fault
	sessions  []Session
	secrets   []string
	calls     int
	now       func() time.Time
}

// Start runs the stand-in. now may be nil.
func Start(now func() time.Time) *STS {
	if now == nil {
		now = time.Now
	}
	s := &STS{providers: map[string][]string{}, roles: map[string]Role{}, keys: map[string]string{}, now: now}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// StartAt runs the stand-in at an address on loopback.
func StartAt(address string) (*STS, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &STS{providers: map[string][]string{}, roles: map[string]Role{}, keys: map[string]string{}, now: time.Now}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	_ = s.server.Listener.Close()
	s.server.Listener = listener
	s.server.Start()
	return s, nil
}

// URL is the endpoint.
func (s *STS) URL() string { return s.server.URL }

// Close stops it.
func (s *STS) Close() { s.server.Close() }

// Provider adds an IAM OIDC provider with its audiences.
func (s *STS) Provider(issuer string, audiences ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.providers[issuer] = audiences
}

// Role adds a role.
func (s *STS) Role(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
}

// Identity adds a long-lived identity.
func (s *STS) Identity(accessKey, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[accessKey] = secret
}

// Fail makes the next calls go wrong, one each.
func (s *STS) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// ClearFaults makes STS work again.
func (s *STS) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Sessions are those issued so far.
func (s *STS) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Session(nil), s.sessions...)
}

// Secrets are those of all sessions issued so far.
func (s *STS) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.secrets...)
}

// Calls is how often STS was asked.
func (s *STS) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// refusal is an error of STS.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

func refuse(code, message string, args ...any) error {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(message, args...)}
}

func (s *STS) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls++
	var fault *Fault
	if len(s.faults) > 0 {
		fault, s.faults = &s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if fault != nil && !fault.After {
		s.fail(w, *fault)
		return
	}
	_ = r.ParseForm()
	answer, err := s.act(r)
	if fault != nil {
		s.fail(w, *fault)
		return
	}
	if err != nil {
		no, ok := err.(*refusal) //nolint:errorlint // made here only
		if !ok {
			no = &refusal{http.StatusInternalServerError, "InternalFailure", "the stand-in failed"}
		}
		writeError(w, *no)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte(answer))
}

func (s *STS) fail(w http.ResponseWriter, f Fault) {
	switch {
	case f.Body != "":
		if f.Status != 0 {
			w.WriteHeader(f.Status)
		}
		_, _ = w.Write([]byte(f.Body))
	case f.Status == 0:
		panic(http.ErrAbortHandler)
	default:
		writeError(w, refusal{f.Status, f.Code, "told to fail"})
	}
}

func writeError(w http.ResponseWriter, r refusal) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(r.status)
	_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		escape(r.code), escape(r.message), rand.Text())
}

func (s *STS) act(r *http.Request) (string, error) {
	switch action := r.Form.Get("Action"); action {
	case "AssumeRoleWithWebIdentity":
		return s.withWebIdentity(r.Form)
	case "AssumeRole":
		return s.assumeRole(r)
	case "GetCallerIdentity":
		return s.callerIdentity(r)
	default:
		return "", refuse("InvalidAction", "%s is no action", action)
	}
}

var (
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	tagText     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`) // a {1,128} behind it would compile for 10 ms at every start
)

// tagged tells whether a tag's key and value have the length and letters that
// STS takes.
func tagged(key, value string) bool {
	k, v := utf8.RuneCountInString(key), utf8.RuneCountInString(value)
	return k >= 1 && k <= 128 && v <= 256 && tagText.MatchString(key) && tagText.MatchString(value)
}

// common checks what both ways of assuming a role have in common.
func (s *STS) common(f url.Values, longest time.Duration) (Role, Session, error) {
	s.mu.Lock()
	role, ok := s.roles[f.Get("RoleArn")]
	s.mu.Unlock()
	seconds, err := strconv.Atoi(f.Get("DurationSeconds"))
	if f.Get("DurationSeconds") == "" {
		seconds, err = 3600, nil
	}
	d := time.Duration(seconds) * time.Second
	switch {
	case !sessionName.MatchString(f.Get("RoleSessionName")):
		return role, Session{}, refuse("ValidationError", "roleSessionName does not fit [\\w+=,.@-]{2,64}")
	case err != nil || d < 900*time.Second || d > longest:
		return role, Session{}, refuse("ValidationError", "durationSeconds is not within 900 and %d", int(longest.Seconds()))
	case len(f.Get("Policy")) > 2048:
		return role, Session{}, refuse("ValidationError", "Member must have length less than or equal to 2048")
	case f.Get("Policy") != "" && !json.Valid([]byte(f.Get("Policy"))):
		return role, Session{}, refuse("MalformedPolicyDocument", "Syntax errors in policy.")
	case len(policyARNs(f)) > 10:
		return role, Session{}, refuse("ValidationError", "more than 10 policy ARNs")
	case !ok:
		return role, Session{}, refuse("AccessDenied", "Not authorized to perform sts:AssumeRole")
	}
	return role, Session{Role: role.ARN, Name: f.Get("RoleSessionName"), Policy: f.Get("Policy"), PolicyARNs: policyARNs(f), Duration: d, Tags: map[string]string{}}, nil
}

func policyARNs(f url.Values) []string {
	var all []string
	for i := 1; f.Get(fmt.Sprintf("PolicyArns.member.%d.arn", i)) != ""; i++ {
		all = append(all, f.Get(fmt.Sprintf("PolicyArns.member.%d.arn", i)))
	}
	return all
}

// issue records a session and answers with it.
func (s *STS) issue(action string, session Session) string {
	session.AccessKeyID = "ASIA" + rand.Text()[:16]
	secret := rand.Text() + rand.Text()
	token := "FwoG" + rand.Text() + rand.Text()
	s.mu.Lock()
	s.sessions = append(s.sessions, session)
	s.secrets = append(s.secrets, secret, token)
	s.keys[session.AccessKeyID] = secret
	expires := s.now().Add(session.Duration).UTC().Format(time.RFC3339)
	s.mu.Unlock()
	return fmt.Sprintf(`<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>`+
		`<AssumedRoleUser><Arn>%[2]s</Arn><AssumedRoleId>AROASANDBOX:%[3]s</AssumedRoleId></AssumedRoleUser>`+
		`<Credentials><AccessKeyId>%[4]s</AccessKeyId><SecretAccessKey>%[5]s</SecretAccessKey><SessionToken>%[6]s</SessionToken><Expiration>%[7]s</Expiration></Credentials>`+
		`</%[1]sResult><ResponseMetadata><RequestId>%[8]s</RequestId></ResponseMetadata></%[1]sResponse>`,
		action, escape(assumed(session)), escape(session.Name), session.AccessKeyID, secret, token, expires, rand.Text())
}

// assumed is the ARN of a session of a role.
func assumed(s Session) string {
	return strings.Replace(strings.Replace(s.Role, ":iam:", ":sts:", 1), ":role/", ":assumed-role/", 1) + "/" + s.Name
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

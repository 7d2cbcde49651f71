package rules

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

var (
	credentialName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	// audiences are compared byte by byte; what nobody can see would never fit.
	audienceShape = regexp.MustCompile(`^[!-~]{1,255}$`)
)

// credentialTypes are the kinds in the order in which they are told.
var credentialTypes = []string{"aws", "gcp", "azure", "vault", "github", "oidc"}

// credentialSets and credentialHint are the types as a choice of keys.
var (
	credentialSets = singly(credentialTypes)
	credentialHint = "one of " + strings.Join(credentialTypes, ", ") + " is wanted"
)

func singly(keys []string) [][]string {
	sets := make([][]string, len(keys))
	for i, key := range keys {
		sets[i] = []string{key}
	}
	return sets
}

func credentials(v conf.Value, at *places) []gatekeeper.CredentialSpec {
	o := v.Object()
	specs := []gatekeeper.CredentialSpec{}
	for _, name := range o.Keys() {
		o.KeyMatching(name, credentialName, "is no name; lower-case letters, digits and dashes are taken, 32 at most")
		if spec, exchange, ok := credential(o.Get(name).Object()); ok {
			spec.Name = name
			specs, at.exchanges = append(specs, spec), append(at.exchanges, exchange)
		}
	}
	return specs
}

// credential reads what is exactly one of the types. exchange is where its way
// stands.
func credential(o *conf.Object) (spec gatekeeper.CredentialSpec, exchange conf.Value, ok bool) {
	o.Choice(credentialHint, "a credential is of one type, give each its own name", credentialSets...)
	for _, kind := range credentialTypes {
		if v := o.Get(kind); v.Present() {
			inner := v.Object()
			spec, ok = specOf(kind, inner), true
			if kind != "github" && kind != "oidc" { // those have one way only
				exchange = inner.Get("exchange")
			}
			inner.Close()
		}
	}
	o.Close()
	return spec, exchange, ok
}

func specOf(kind string, o *conf.Object) gatekeeper.CredentialSpec {
	spec := gatekeeper.CredentialSpec{Type: kind}
	switch kind {
	case "aws":
		spec.AWS = awsSpec(o)
	case "gcp":
		spec.GCP = gcpSpec(o)
	case "azure":
		spec.Azure = azureSpec(o)
	case "vault":
		spec.Vault = vaultSpec(o)
	case "github":
		spec.GitHub = githubSpec(o)
	case "oidc":
		spec.OIDC = oidcSpec(o)
	}
	return spec
}

// tokenWay is the exchange of clouds that take a token. Where nothing is said
// it is the way that no job can go around.
func tokenWay(v conf.Value) gatekeeper.Exchange {
	return gatekeeper.Exchange(v.Enum("gatekeeper_token", "gatekeeper_token", "workload_token"))
}

func audience(v conf.Value, def string) string {
	if s := v.Shaped(audienceShape, "was found; 1 to 255 visible ASCII characters without spaces are wanted"); s != "" {
		return s
	}
	return def
}

func shaped(v conf.Value, shape *regexp.Regexp, example string, required bool) string {
	if required {
		v.Need(example + " is wanted")
	}
	return v.Matching(shape, example)
}

// secureAddress wants https, and http for loopback only: a token travels there.
func secureAddress(v conf.Value, example string) string {
	s := strings.TrimSuffix(v.Required(), "/")
	u, err := url.Parse(s)
	switch {
	case s == "":
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/"):
		v.Fault("%q was found; %s is wanted", s, example)
	case u.Scheme == "http" && gatekeeper.Loopback(u.Hostname()):
	case u.Scheme != "https":
		v.Fault("%q has to be https; http is taken for loopback only", s)
	}
	return s
}

package aws

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// watched is the SDK's client, once the SDK configured it (AWS_CA_BUNDLE
// wants a client of its own kind), with whoever watches around it.
func (e *Exchanger) watched(client aws.HTTPClient) aws.HTTPClient {
	if e.o.Watch == nil {
		return client
	}
	return doer{e.o.Watch(tripper{client})}
}

type doer struct{ http.RoundTripper }

// Do implements aws.HTTPClient.
func (d doer) Do(r *http.Request) (*http.Response, error) { return d.RoundTrip(r) }

type tripper struct{ aws.HTTPClient }

// RoundTrip implements http.RoundTripper.
func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t.Do(r) }

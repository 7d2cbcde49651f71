package limit

import (
	"encoding/base64"
	"encoding/json"
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// knownSize is how many workloads are remembered at least, twice as many at
// most.
const knownSize = 8 << 10

// known remembers which subjects' tokens held from which addresses. Where a
// stranger uses up what an address may do, jobs that were served from there
// before still are: they have a bucket of their own. Only tokens that held get
// in, so strangers cannot fill it.
type known struct {
	seed       maphash.Seed
	mu         sync.Mutex
	young, old map[uint64]struct{}
}

func newKnown() *known { return &known{seed: maphash.MakeSeed(), young: map[uint64]struct{}{}} }

func (k *known) id(from netip.Addr, issuer, subject string) uint64 {
	return maphash.Comparable(k.seed, struct {
		from            netip.Addr
		issuer, subject string
	}{from, issuer, subject})
}

func (k *known) add(id uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.young[id]; ok {
		return
	}
	if len(k.young) >= knownSize {
		k.old, k.young = k.young, map[uint64]struct{}{}
	}
	k.young[id] = struct{}{}
}

func (k *known) has(id uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, young := k.young[id]
	_, old := k.old[id]
	return young || old
}

// maxToken is the largest token that is looked into, as in gatekeeper/oidc.
const maxToken = 16 << 10

// claimed is whom a call's token names, unverified: it chooses a bucket and
// proves nothing.
func claimed(r *http.Request) (issuer, subject string, ok bool) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return "", "", false
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", "", false
	}
	var claims struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
	}
	err = json.Unmarshal(body, &claims)
	return claims.Iss, claims.Sub, err == nil && claims.Sub != ""
}

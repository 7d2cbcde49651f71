package issuer

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/wholefile"
)

// The lead of a new key: how long it is published before it signs. Clouds do
// not promise how long they keep a key set; a day costs nothing.
const (
	DefaultLead = 24 * time.Hour
	MinLead     = 2 * maxAge
)

// Rotation says how a file's keys are rotated.
type Rotation struct {
	Lead time.Duration // 0: DefaultLead
	// Compromised: the old keys are withdrawn at once and the new one signs at
	// once. Clouds refuse its tokens until they look at the key set again.
	Compromised bool
	Now         time.Time
}

// Standing is where a key stands at a time.
type Standing struct {
	ID        string
	SignsFrom time.Time // zero: from the beginning
	Until     time.Time // last published; zero: no other takes its place yet
	Signing   bool
}

// Rotate adds a key to the file, makes the file where there is none, and drops those that
// nobody needs any more. A running service picks the change up by itself.
func Rotate(path string, o Rotation) ([]Standing, error) {
	if o.Lead == 0 {
		o.Lead = DefaultLead
	}
	if o.Lead < MinLead {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "a lead of %s is too short: others may keep the key set for %s, so at least %s is wanted", o.Lead, maxAge, MinLead)
	}
	keys, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) { // the first one, as the service would make it
		if err := create(path); err != nil {
			return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the signing key %s cannot be made", path)
		}
		return Standings(path, o.Now)
	}
	if err != nil {
		return nil, err
	}
	if keys, err = rotated(keys, o); err != nil {
		return nil, err
	}
	// A service that runs as somebody else has to read it.
	if err := wholefile.Replace(path, formatKeys(keys), wholefile.Options{KeepOwner: true}); err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "%s cannot be written; look at `gatekeeper keys list` before rotating again", path)
	}
	return standings(bare(keys), o.Now), nil
}

func rotated(keys []fileKey, o Rotation) ([]fileKey, error) {
	if o.Compromised {
		key, err := newKey(time.Time{})
		return []fileKey{key}, err
	}
	var kept []fileKey
	all := bare(keys)
	for i, k := range keys {
		if k.SignsFrom.After(o.Now) {
			return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "key %s is on its way already and signs from %s; rotate again after that", k.ID, k.SignsFrom.UTC().Format(time.RFC3339))
		}
		if until := retires(all, i); until.IsZero() || o.Now.Before(until) {
			kept = append(kept, k)
		}
	}
	key, err := newKey(o.Now.Add(o.Lead).UTC().Truncate(time.Second))
	return append(kept, key), err
}

// Standings are the file's keys at a time.
func Standings(path string, now time.Time) ([]Standing, error) {
	keys, err := readKeys(path)
	return standings(bare(keys), now), err
}

func readKeys(path string) ([]fileKey, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the signing key %s cannot be read; the service makes one at its first start", path)
	}
	return parseKeys(path, body)
}

func standings(keys []Key, now time.Time) []Standing {
	var all []Standing
	signer, _ := signing(keys, now)
	for i, k := range keys {
		all = append(all, Standing{ID: k.ID, SignsFrom: k.SignsFrom, Until: retires(keys, i), Signing: k.ID == signer.ID})
	}
	return all
}

func bare(keys []fileKey) []Key {
	var all []Key
	for _, k := range keys {
		all = append(all, k.Key)
	}
	return all
}

// Package kmsbox is a stand-in for AWS KMS's asymmetric keys: GetPublicKey and
// Sign of its JSON protocol, with real keys, KMS's limits and its errors.
package kmsbox

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
)

// KMS is the stand-in.
type KMS struct {
	*cloudbox.Box

	mu   sync.Mutex
	keys map[string]*key
	made int
}

type key struct {
	private  *rsa.PrivateKey
	usage    string
	disabled bool
}

// Start runs it.
func Start() *KMS {
	k := &KMS{keys: map[string]*key{}}
	k.Box = cloudbox.Start(http.HandlerFunc(k.serve))
	return k
}

// Create makes a key and gives its ARN. usage is SIGN_VERIFY or
// ENCRYPT_DECRYPT.
func (k *KMS) Create(usage string, bits int) (string, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	name := "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-" + strings.Repeat("0", 11) + string(rune('0'+k.made))
	k.keys[name] = &key{private: private, usage: usage}
	return name, nil
}

// Disable switches a key off, or on again.
func (k *KMS) Disable(name string, off bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[name].disabled = off
}

// Swap gives a key another's private part, as an alias that was moved would.
func (k *KMS) Swap(name, other string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[name].private = k.keys[other].private
}

type question struct {
	KeyId            string //nolint:revive,staticcheck // KMS's spelling
	Message          []byte
	MessageType      string
	SigningAlgorithm string
}

const algorithm = "RSASSA_PKCS1_V1_5_SHA_256"

var signed = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[A-Z0-9]+/\d{8}/eu-west-1/kms/aws4_request`)

func (k *KMS) serve(w http.ResponseWriter, r *http.Request) {
	var q question
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		refuse(w, "SerializationException", "not JSON")
		return
	}
	if !signed.MatchString(r.Header.Get("Authorization")) {
		refuse(w, "IncompleteSignatureException", "not signed for this region and service")
		return
	}
	k.mu.Lock()
	found := k.keys[q.KeyId]
	k.mu.Unlock()
	switch {
	case found == nil:
		refuse(w, "NotFoundException", "Key '"+q.KeyId+"' does not exist")
	case found.disabled:
		refuse(w, "DisabledException", q.KeyId+" is disabled.")
	case r.Header.Get("X-Amz-Target") == "TrentService.GetPublicKey":
		publicKey(w, q, found)
	case r.Header.Get("X-Amz-Target") == "TrentService.Sign":
		sign(w, q, found)
	default:
		refuse(w, "UnknownOperationException", "")
	}
}

func publicKey(w http.ResponseWriter, q question, k *key) {
	der, _ := x509.MarshalPKIXPublicKey(&k.private.PublicKey) // RSA keys marshal
	answer := map[string]any{"KeyId": q.KeyId, "PublicKey": der, "KeyUsage": k.usage, "KeySpec": "RSA_2048"}
	if k.usage == "SIGN_VERIFY" {
		answer["SigningAlgorithms"] = []string{algorithm, "RSASSA_PSS_SHA_256"}
	}
	cloudbox.Answer(w, http.StatusOK, answer)
}

// sign holds what https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
// says: raw messages of 4096 bytes at most, digests of the algorithm's length.
func sign(w http.ResponseWriter, q question, k *key) {
	digest := q.Message
	switch {
	case k.usage != "SIGN_VERIFY":
		refuse(w, "InvalidKeyUsageException", "the key is not for signing")
		return
	case q.SigningAlgorithm != algorithm:
		refuse(w, "InvalidKeyUsageException", "Algorithm "+q.SigningAlgorithm+" is incompatible")
		return
	case q.MessageType == "DIGEST" && len(digest) != sha256.Size:
		refuse(w, "ValidationException", "Digest is invalid length for algorithm "+algorithm)
		return
	case q.MessageType != "DIGEST" && (len(digest) == 0 || len(digest) > 4096):
		refuse(w, "ValidationException", "1 validation error detected: Value at 'message' failed to satisfy constraint")
		return
	case q.MessageType != "DIGEST":
		sum := sha256.Sum256(digest)
		digest = sum[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, digest)
	if err != nil {
		refuse(w, "KMSInternalException", "the stand-in failed")
		return
	}
	cloudbox.Answer(w, http.StatusOK, map[string]any{"KeyId": q.KeyId, "Signature": signature, "SigningAlgorithm": algorithm})
}

func refuse(w http.ResponseWriter, code, message string) {
	cloudbox.Answer(w, http.StatusBadRequest, map[string]string{"__type": code, "message": message})
}

// Throttled is KMS's answer to too many calls.
func Throttled() cloudbox.Fault {
	return cloudbox.Fault{Status: http.StatusBadRequest, Body: `{"__type":"ThrottlingException","message":"You have exceeded the rate"}`}
}

// Denied is KMS's answer to who may not.
func Denied() cloudbox.Fault {
	return cloudbox.Fault{Status: http.StatusBadRequest, Body: `{"__type":"AccessDeniedException","message":"User is not authorized to perform: kms:Sign"}`}
}

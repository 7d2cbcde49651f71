package issuer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/wholefile"
)

// keyBits is the size of new keys.
const keyBits = 3072

// File is a Source: PKCS#8 PEM blocks in one file, each with a line before it
// that says from when it signs. It is read again when it changes, so keys are
// rotated under a running service.
type File struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	keys  []Key
	seen  fs.FileInfo // as last read, well or badly
	fault string      // as last told
}

// OpenFile reads the keys, and makes one where there is no file: whole or not
// at all, readable by its owner only.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &File{path: path, log: log}
	err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path); err == nil {
			err = f.read()
		}
	}
	if err != nil && gatekeeper.CodeOf(err) == gatekeeper.CodeInternal {
		err = gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the signing key %s cannot be read or made", path)
	}
	return f, err
}

// Keys implements Source. The file is looked at each time, which is cheap; one
// that went bad leaves the keys as they were, and is told once.
func (f *File) Keys(context.Context) ([]Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := ""
	switch changed, err := f.refresh(); {
	case err != nil:
		if fault = err.Error(); fault != f.fault {
			f.log.Warn("the signing keys on disk cannot be used; those known before stay", "file", f.path, "error", err)
		}
	case changed:
		f.log.Info("signing keys were read again", "file", f.path, "keys", len(f.keys))
	default:
		fault = f.fault
	}
	f.fault = fault
	return f.keys, nil
}

func (f *File) refresh() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, err
	}
	if os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return false, nil
	}
	return true, f.read()
}

func (f *File) read() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	f.seen = info
	keys, err := parseKeys(f.path, body)
	if err != nil {
		return err
	}
	f.keys = nil
	for _, k := range keys {
		f.keys = append(f.keys, k.Key)
	}
	return nil
}

// fileKey is a key and the block it stands in.
type fileKey struct {
	Key
	der []byte
}

// signsLine is the explanatory text (RFC 7468 section 2) before a key.
const signsLine = "# signs from "

func parseKeys(path string, body []byte) ([]fileKey, error) {
	var keys []fileKey
	for {
		block, rest := pem.Decode(body)
		if block == nil {
			break
		}
		from, err := signsFrom(body[:len(body)-len(rest)])
		if err != nil {
			return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s: key %d: a line %qTIME is wanted, with a time such as 2026-03-02T10:00:00Z", path, len(keys)+1, signsLine)
		}
		private, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
		rsaKey, _ := private.(*rsa.PrivateKey)
		key, err := FromRSA(rsaKey, from)
		if err != nil {
			return nil, noKey(path)
		}
		keys, body = append(keys, fileKey{key, block.Bytes}), rest
	}
	if len(keys) == 0 {
		return nil, noKey(path)
	}
	return keys, nil
}

func noKey(path string) error {
	return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s holds no RSA key of at least %d bits in PKCS#8 PEM; `openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:%d` makes one", path, MinBits, keyBits)
}

// signsFrom reads the text before a block: its last line of ours counts.
func signsFrom(text []byte) (time.Time, error) {
	text, _, _ = bytes.Cut(text, []byte("-----BEGIN"))
	var from time.Time
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !meant(line) {
			continue
		}
		var err error
		if from, err = time.Parse(time.RFC3339, strings.TrimPrefix(line, signsLine)); err != nil {
			return from, err
		}
	}
	return from, nil
}

// meant says whether a line is ours, however it is spelled: one that is read
// over would let a key sign before its time.
func meant(line string) bool {
	rest, ok := strings.CutPrefix(line, "#")
	return ok && strings.HasPrefix(strings.ToLower(strings.TrimSpace(rest)), "signs")
}

func formatKeys(keys []fileKey) []byte {
	var b bytes.Buffer
	for _, k := range keys {
		fmt.Fprintf(&b, "# key %s\n", k.ID)
		if !k.SignsFrom.IsZero() {
			fmt.Fprintf(&b, "%s%s\n", signsLine, k.SignsFrom.UTC().Format(time.RFC3339))
		}
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k.der}))
	}
	return b.Bytes()
}

func newKey(signsFrom time.Time) (fileKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fileKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fileKey{}, err
	}
	key, err := FromRSA(private, signsFrom)
	return fileKey{key, der}, err
}

func create(path string) error {
	key, err := newKey(time.Time{})
	if err != nil {
		return err
	}
	return wholefile.Create(path, formatKeys([]fileKey{key})) // of another process that was first the key is as good
}

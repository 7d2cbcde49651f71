package ledger

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Head is what a checkpoint says.
type Head struct {
	Origin string
	Size   int64
	Root   [32]byte
}

// OpenCheckpoint verifies a checkpoint's signature with a verifier key and
// reads it. Unsigned or foreign ones are errors.
func OpenCheckpoint(checkpoint []byte, verifierKey string) (Head, error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Head{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "%q is no verifier key; it looks like origin+hash+key", verifierKey)
	}
	n, err := note.Open(checkpoint, note.VerifierList(verifier))
	if err != nil {
		return Head{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the checkpoint is not signed by %s", verifier.Name())
	}
	return parseHead(n.Text, verifier.Name())
}

func parseHead(text, origin string) (Head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return Head{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the checkpoint is not one of %s", origin)
	}
	size, errSize := strconv.ParseInt(lines[1], 10, 64)
	root, errRoot := base64.StdEncoding.DecodeString(lines[2])
	if errSize != nil || size < 0 || lines[1] != strconv.FormatInt(size, 10) || errRoot != nil || len(root) != tlog.HashSize {
		return Head{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the checkpoint of %s is malformed", origin)
	}
	return Head{Origin: origin, Size: size, Root: [32]byte(root)}, nil
}

// ReadHead is what a checkpoint says of itself, before any signature is
// looked at: only good for finding the place where it is verified.
func ReadHead(checkpoint []byte) (Head, error) {
	text := string(checkpoint)
	origin, _, _ := strings.Cut(text, "\n")
	return parseHead(text, origin)
}

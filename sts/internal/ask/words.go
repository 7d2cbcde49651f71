package ask

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"unicode"
)

// Unsent says whether the question certainly never left: no connection, to the
// cloud or to the proxy before it, or one whose certificate was refused.
func Unsent(err error) bool {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.As(err, &network) && (network.Op == "dial" || network.Op == "proxyconnect")
}

// Word is a code that looks like one: whatever stands between the cloud and us
// may answer with what it was sent, which holds a token.
func Word(code string) string {
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	}) {
		return "with a code that is none of its own"
	}
	return code
}

const (
	maxText = 300
	// window is how much of a secret is one: eight characters of a token are
	// noise in any text, and no word of an error is in a token.
	window = 12
)

// Text is a cloud's message as one short printable line, "" where it repeats a
// part of a secret.
func Text(message string, secrets ...string) string {
	if first, _, ok := strings.Cut(message, "\n"); ok {
		message = strings.TrimSpace(first)
	}
	message = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, message)
	for _, secret := range secrets {
		if shares(message, secret) {
			return ""
		}
	}
	if runes := []rune(message); len(runes) > maxText {
		message = string(runes[:maxText]) + "…"
	}
	return message
}

// shares says whether a window of message stands in secret.
func shares(message, secret string) bool {
	if len(secret) < window {
		return secret != "" && strings.Contains(message, secret)
	}
	known := make(map[string]struct{}, len(secret))
	for i := 0; i+window <= len(secret); i++ {
		known[secret[i:i+window]] = struct{}{}
	}
	for i := 0; i+window <= len(message); i++ {
		if _, ok := known[message[i:i+window]]; ok {
			return true
		}
	}
	return false
}

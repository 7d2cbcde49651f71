// Package ciissuer is a stand-in for a CI's OIDC issuer: discovery, keys, the
// runner's endpoint that mints tokens, and faults that tests can set. Its
// tokens carry what GitHub Actions documents. It listens on loopback only.
package ciissuer

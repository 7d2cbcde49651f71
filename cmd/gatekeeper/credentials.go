package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/urfave/cli/v2"
)

func credentialsCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "credentials", Usage: "work with the credentials that rules give",
		Subcommands: []*cli.Command{{
			Name: "check", Usage: "try to get each credential of the rules around the gatekeeper, with a job's own token; run it in such a job",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "config", Value: "gatekeeper.yaml", Usage: "configuration `FILE`"},
				&cli.StringFlag{Name: "rules", Usage: "rules at this `PATH` instead of the configuration's"},
				&cli.StringFlag{Name: "token-file", Usage: "the job's OIDC token with the cloud's audience, where the CI cannot mint one here"},
			},
			Action: func(c *cli.Context) error { return credentialsCheck(w, c) },
		}},
	}
}

// probe is one run of `credentials check`.
type probe struct {
	w        world
	tokens   tokens
	verifier *oidc.Verifier
	rules    *rules.Rules
	clouds   sts.Exchangers
}

// credentialsCheck tries what docs/credentials.md says must not work.
func credentialsCheck(w world, c *cli.Context) error {
	cfg, faults := loadConfig(c.String("config"), w.env)
	if len(cfg.Issuers) == 0 {
		return cli.Exit(faults.Error(), exitFailed)
	}
	p := probe{w: w}
	s := &service{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	set, found := rules.Load(cmp.Or(c.String("rules"), cfg.Rules), s.ruleOptions())
	if found.Err() != nil {
		return cli.Exit(found.Error(), exitFailed)
	}
	p.rules = set
	var err error
	if p.verifier, err = oidc.New(oidc.Options{Issuers: cfg.Issuers}); err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	if p.clouds, err = s.openExchangers(); err != nil {
		return cli.Exit(said(err), exitFailed)
	}
	if p.tokens, err = newTokens(w, "", cfg.URL, c.String("token-file"), c.String("token-file")); err != nil {
		return cli.Exit(err.Error(), exitUsage)
	}
	return p.run(c.Context)
}

// run tries each credential, and counts what cannot stay.
func (p probe) run(ctx context.Context) error {
	around, untried, all := 0, 0, 0
	p.rules.Each(func(r gatekeeper.Rule) {
		for _, spec := range r.Credentials {
			all++
			verdict := p.try(ctx, r, spec)
			switch verdict.kind {
			case goneAround:
				around++
			case notTried:
				untried++
			}
			fmt.Fprintf(p.w.stdout, "%s/%s  %s: %s. %s\n", oneLine(r.Name), oneLine(spec.Name), describe(spec), verdict.kind, oneLine(verdict.why))
		}
	})
	switch {
	case all == 0:
		return cli.Exit("the rules give no credentials, so there is nothing to try", exitFailed)
	case around > 0:
		return cli.Exit(fmt.Sprintf("%d of %d credentials can be had without asking anybody; docs/credentials.md says how their clouds trust the gatekeeper alone", around, all), exitFailed)
	case untried > 0:
		return cli.Exit(fmt.Sprintf("%d of %d credentials could not be tried, so nothing is proven of them", untried, all), exitFailed)
	}
	return nil
}

// verdictKind is what a try came to.
type verdictKind string

const (
	goneAround verdictKind = "CAN BE GONE AROUND"
	refusedRaw verdictKind = "refused"
	noWay      verdictKind = "no way around"
	notTried   verdictKind = "NOT TRIED"
)

type verdict struct {
	kind verdictKind
	why  string
}

func (p probe) try(ctx context.Context, r gatekeeper.Rule, spec gatekeeper.CredentialSpec) verdict {
	switch spec.Type {
	case "github":
		return verdict{noWay, "GitHub takes the App's key for it, which no job has"}
	case "oidc":
		return verdict{noWay, "it is a token that the gatekeeper signs; whoever takes it has to want this gatekeeper as issuer"}
	}
	audience := audienceOf(spec)
	raw, err := p.tokens.subject(ctx, audience)
	if err != nil {
		return verdict{notTried, said(err)}
	}
	// A token that proves nothing would be refused for that.
	w, err := p.verifier.Verify(ctx, raw, audience)
	if err != nil {
		return verdict{notTried, "the token is none to try with: " + said(err)}
	}
	as := fmt.Sprintf("Tried as %s%s", cmp.Or(w.Subject, w.Repository), p.otherwise(r, w))
	err = p.clouds.Probe(ctx, spec, raw)
	var coded *gatekeeper.Error
	switch {
	case err == nil:
		return verdict{goneAround, "The cloud took the job's own token, without asking anybody. " + as}
	case errors.As(err, &coded) && coded.Code == gatekeeper.CodeExchangeFailed && coded.RetryAfter == 0:
		return verdict{refusedRaw, strings.TrimRight(coded.Description, ".") + ". " + as}
	}
	return verdict{notTried, said(err)}
}

// otherwise says when the token is of a job that the rule is not for: the
// cloud's refusal of it proves little about one that the rule is for.
func (p probe) otherwise(r gatekeeper.Rule, w gatekeeper.Workload) string {
	d := p.rules.Explain(w, w.Environment, time.Now())
	if d.Rule != nil && d.Rule.Name == r.Name {
		return ""
	}
	return "; this job is none that the rule is for, so try again in one (same repository, ref and environment) for a proof"
}

// audienceOf is the audience of the token that the cloud would take, if it
// took one of the CI's. assume_role takes none; AWS's usual one is tried.
func audienceOf(spec gatekeeper.CredentialSpec) string {
	switch {
	case spec.AWS != nil:
		return cmp.Or(spec.AWS.Audience, "sts.amazonaws.com")
	case spec.GCP != nil:
		return spec.GCP.Audience
	case spec.Azure != nil:
		return spec.Azure.Audience
	case spec.Vault != nil:
		return spec.Vault.Audience
	}
	return ""
}

func describe(spec gatekeeper.CredentialSpec) string {
	what, way := spec.Type, spec.Way()
	switch {
	case spec.AWS != nil:
		what += " " + spec.AWS.RoleARN
	case spec.GCP != nil:
		what += " " + cmp.Or(spec.GCP.ServiceAccount, spec.GCP.Provider)
	case spec.Azure != nil:
		what += " application " + spec.Azure.ClientID
	case spec.Vault != nil:
		what += " role " + spec.Vault.Role + " at " + spec.Vault.Address
	case spec.OIDC != nil:
		what += " for " + spec.OIDC.Audience
	}
	if way != "" {
		what += " (" + string(way) + ")"
	}
	return oneLine(what)
}

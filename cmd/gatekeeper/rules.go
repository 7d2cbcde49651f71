package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/urfave/cli/v2"
)

func rulesCommand(w world) *cli.Command {
	return &cli.Command{
		Name: "rules", Usage: "check, explain, test and compare rules",
		Subcommands: []*cli.Command{
			rulesCheckCommand(w),
			rulesExplainCommand(w),
			rulesTestCommand(w),
			rulesSchemaCommand(w),
			rulesDiffCommand(w),
		},
	}
}

// onlyPath is the one argument of commands that take a file or a directory.
func onlyPath(c *cli.Context) (string, error) {
	if c.Args().Len() != 1 {
		return "", cli.Exit(c.Command.FullName()+" takes one file or directory", exitUsage)
	}
	return c.Args().First(), nil
}

// loadRules is for commands that need rules without errors.
func loadRules(w world, path string, o rules.Options) (*rules.Rules, error) {
	set, faults := rules.Load(path, o)
	if faults.Err() == nil {
		return set, nil
	}
	for _, f := range faults.Errors() {
		fmt.Fprintln(w.stderr, f)
	}
	return nil, cli.Exit("the rules have errors", exitFailed)
}

// configFlag gives rules the surroundings in which they will be in force.
func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "gatekeeper.yaml, whose issuers' names rules may use"}
}

// surroundings are what a gatekeeper.yaml tells of its rules' world.
type surroundings struct {
	config  *config // nil: none was named
	options rules.Options
}

func surroundingsOf(w world, c *cli.Context) (surroundings, error) {
	path := c.String("config")
	if path == "" {
		return surroundings{}, nil
	}
	cfg, faults := loadConfig(path, w.env)
	for _, f := range faults.Errors() {
		fmt.Fprintln(w.stderr, f)
	}
	if faults.Err() != nil {
		return surroundings{}, cli.Exit(filepath.Base(path)+" has errors", exitFailed)
	}
	s := surroundings{config: &cfg}
	for _, i := range cfg.Issuers {
		s.options.Issuers = append(s.options.Issuers, i.Name)
	}
	return s, nil
}

// workload maps claims as the issuer's tokens are mapped. issuer is a
// configured issuer's name, or a type. CodeInvalidToken says that such a token
// is never taken, whatever the rules say.
func (s surroundings) workload(issuer string, claims map[string]any) (gatekeeper.Workload, error) {
	known := oidc.Issuer{Type: issuer}
	if s.config != nil {
		if i := slices.IndexFunc(s.config.Issuers, func(i oidc.Issuer) bool { return i.Name == issuer }); i >= 0 {
			known = s.config.Issuers[i]
		}
	}
	if why := oidc.NeverTaken(known.Type, claims); why != "" {
		return gatekeeper.Workload{}, gatekeeper.Errorf(gatekeeper.CodeInvalidToken, "%s", why)
	}
	return oidc.WorkloadFromClaims(known.Type, known.Name, known.URL, claims)
}

func (s surroundings) workloadOf(issuer, path string) (gatekeeper.Workload, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return gatekeeper.Workload{}, gatekeeper.Wrap(err, gatekeeper.CodeInvalidRequest, "the claims cannot be read: %v", err)
	}
	claims, err := oidc.StrictJSON(body)
	if err != nil {
		return gatekeeper.Workload{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s: %v; it has to be one JSON object, a token's claims", path, err)
	}
	return s.workload(issuer, claims)
}

func list(approvers []gatekeeper.Approver) string {
	all := make([]string, len(approvers))
	for i, a := range approvers {
		all[i] = string(a)
	}
	return strings.Join(all, ", ")
}

// count is a number with its noun: 1 rule, 2 rules.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// wanted are the request's credentials that this step takes: all of them, or
// those of --only.
func (s *step) wanted(r api.Request) ([]api.Spec, error) {
	var specs []api.Spec
	for _, spec := range r.Credentials {
		if len(s.only) == 0 || slices.Contains(s.only, spec.Name) {
			specs = append(specs, spec)
		}
	}
	for _, name := range s.only {
		if !slices.ContainsFunc(r.Credentials, func(c api.Spec) bool { return c.Name == name }) {
			return nil, fmt.Errorf("--only %s names none of the request's credentials: %s", name, specNames(r.Credentials))
		}
	}
	return specs, s.deliver.clash(specs)
}

func specNames(specs []api.Spec) string {
	var all []string
	for _, c := range specs {
		all = append(all, oneLine(c.Name))
	}
	return strings.Join(all, ", ")
}

// clash says when two credentials would be delivered under the same names:
// the later one would silently take the earlier one's place. It is asked
// before anything is redeemed.
func (d delivery) clash(specs []api.Spec) error {
	if d.output == "json" || d.output == "github" && d.export == "none" {
		return nil
	}
	if d.output == "credential-process" {
		aws := slices.DeleteFunc(slices.Clone(specs), func(c api.Spec) bool { return c.Type != "aws" })
		if len(aws) != 1 {
			return fmt.Errorf("credential-process gives one AWS credential, and the request is for %d of them (%s); name it with --only", len(aws), specNames(aws))
		}
		return nil
	}
	first := map[string]string{}
	for _, c := range specs {
		key := c.Type
		if d.prefix {
			key = identifier(c.Name)
		}
		if other, taken := first[key]; taken {
			return fmt.Errorf("credentials %s and %s would be set under the same names, one in place of the other: take one of them with --only, tell them apart with --prefix, or use --output json", oneLine(other), oneLine(c.Name))
		}
		first[key] = c.Name
	}
	return nil
}

// named are the variable and output of a field, with the credential's name
// before them for --prefix: DEPLOY_AWS_ACCESS_KEY_ID, deploy-aws-access-key-id.
func (d delivery) named(credential string, f field) (env, output string) {
	if !d.prefix {
		return f.env, f.output
	}
	name := identifier(credential)
	if f.env != "" {
		env = strings.ToUpper(name) + "_" + f.env
	}
	if f.output != "" {
		output = strings.ReplaceAll(name, "_", "-") + "-" + f.output
	}
	return env, output
}

// identifier is a name as a part of a variable's: whatever else a rule calls
// its credential, it starts no command and ends no assignment.
func identifier(name string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		return "_" + id
	}
	return id
}

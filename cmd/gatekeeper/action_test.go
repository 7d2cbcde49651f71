package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/goccy/go-yaml"
)

// actionFile is action.yml as the runner reads it.
type actionFile struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Steps []struct {
			Env map[string]string
			Run string
		}
	}
}

func readAction(t testing.TB) actionFile {
	t.Helper()
	body, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var a actionFile
	if err := yaml.Unmarshal(body, &a); err != nil || len(a.Runs.Steps) != 1 {
		t.Fatal(len(a.Runs.Steps), err)
	}
	return a
}

// No input is ever written into the script: each comes by the environment.
func TestActionTakesInputsByEnvironment(t *testing.T) {
	step := readAction(t).Runs.Steps[0]
	if strings.Contains(step.Run, "${{") {
		t.Error("the script holds an expression, which would run what a stranger wrote")
	}
	for name := range readAction(t).Inputs {
		if want := "${{ inputs." + name + " }}"; step.Env["INPUT_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] != want {
			t.Errorf("input %s does not reach the script", name)
		}
	}
}

// Where the action takes its binary from, by the ref that it is used at and
// the runner's system. uname and curl are stand-ins; the rest is the runner's.
func TestActionTakesItsBinary(t *testing.T) {
	bash := parts.Find(t, "bash", "apt-get install bash")
	for name, c := range map[string]struct {
		ref, version, system, temp string
		tampered                   bool
		unsigned                   bool // cosign does not take the signature
		onPath                     string
		says                       string // of a failure; "" runs the binary
		from                       string // the release
	}{
		"a release":                  {ref: "v1.2.3", from: "v1.2.3/gatekeeper_linux_amd64"},
		"a pre-release":              {ref: "v1.2.3-rc.1", from: "v1.2.3-rc.1/gatekeeper_linux_amd64"},
		"macOS":                      {ref: "v1.2.3", system: "Darwin arm64", from: "v1.2.3/gatekeeper_darwin_arm64"},
		"Windows":                    {ref: "v1.2.3", system: "MINGW64_NT-10.0 x86_64", temp: `C:\a\_temp`, from: "v1.2.3/gatekeeper_windows_amd64.exe"},
		"a moving tag":               {ref: "v1", says: "v1 is no release"},
		"a commit":                   {ref: "1f0e5a8a3c0ffee0123456789abcdef012345678", says: "keep your pin and say which release it is"},
		"a branch":                   {ref: "main", says: "main is no release"},
		"a commit and its release":   {ref: "1f0e5a8a3c0ffee0123456789abcdef012345678", version: "v1.2.3", from: "v1.2.3/gatekeeper_linux_amd64"},
		"a wrong version":            {ref: "v1.2.3", version: "latest", says: "version: latest is no release"},
		"a path in the version":      {ref: "v1.2.3", version: "v1.2.3/../../evil", says: "is no release"},
		"a command in the version":   {ref: "v1", version: "x\n::set-env name=A::b", says: `is no release`},
		"a checkout":                 {says: "runs from a checkout"},
		"another binary":             {ref: "v1.2.3", tampered: true, says: "the checksum of gatekeeper_linux_amd64 is not the release's"},
		"checksums of others":        {ref: "v1.2.3", unsigned: true, says: "the checksums of v1.2.3 are not signed by its release"},
		"an unknown system":          {ref: "v1.2.3", system: "SunOS sparc", says: "no gatekeeper for SunOS"},
		"that version on PATH":       {ref: "v1.2.3", onPath: "v1.2.3"},
		"another version on PATH":    {ref: "v1.2.3", onPath: "v1.2.2", from: "v1.2.3/gatekeeper_linux_amd64"},
		"a moving tag that is there": {ref: "v1", onPath: "v1", says: "v1 is no release"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.system == "" {
				c.system = "Linux x86_64"
			}
			if c.temp == "" {
				c.temp = filepath.Join(dir, "temp")
			}
			program := "#!/bin/sh\n[ \"$1\" = --version ] && echo gatekeeper version " + c.onPath + " || echo \"ran $*\"\n"
			sum := fmt.Sprintf("%x", sha256.Sum256([]byte(program)))
			if c.tampered {
				sum = strings.Repeat("0", 64)
			}
			system, machine, _ := strings.Cut(c.system, " ")
			write := func(name, text string) {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o700); err != nil { //nolint:gosec // they are programs
					t.Fatal(err)
				}
			}
			write("bin/uname", "#!/bin/sh\n[ \"$1\" = -s ] && echo '"+system+"' || echo '"+machine+"'\n")
			write("bin/curl", "#!/bin/sh\nwhile [ $# -gt 0 ]; do case \"$1\" in --output) out=\"$2\"; shift;; https:*) from=\"$1\";; esac; shift; done\n"+
				"echo \"$from\" >>\"$FETCHED\"\ncase \"$from\" in */checksums.txt) echo \"$SUM  $(basename \"$(sed -n 1p \"$FETCHED\")\")\" >\"$out\";; *) cp \"$PROGRAM\" \"$out\";; esac\n")
			write("bin/cosign", fmt.Sprintf("#!/bin/sh\necho \"$*\" >cosigned\n[ %t = false ]\n", c.unsigned))
			write("program", program)
			if c.onPath != "" {
				write("bin/gatekeeper", program)
			}
			for _, d := range []string{c.temp, strings.ReplaceAll(c.temp, `\`, "/")} {
				if !filepath.IsAbs(d) {
					d = filepath.Join(dir, d)
				}
				if err := os.MkdirAll(d, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), bash, "-c", readAction(t).Runs.Steps[0].Run)
			cmd.Dir = dir
			cmd.Env = []string{
				"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "RUNNER_TEMP=" + c.temp, "FETCHED=" + filepath.Join(dir, "fetched"),
				"SUM=" + sum, "PROGRAM=" + filepath.Join(dir, "program"), "GATEKEEPER_ACTION_REF=" + c.ref, "INPUT_VERSION=" + c.version,
			}
			for input, v := range readAction(t).Inputs {
				if input != "version" {
					cmd.Env = append(cmd.Env, "INPUT_"+strings.ToUpper(strings.ReplaceAll(input, "-", "_"))+"="+v.Default)
				}
			}
			out, err := cmd.CombinedOutput()
			fetched, _ := os.ReadFile(filepath.Join(dir, "fetched"))
			if (err == nil) != (c.says == "") || !strings.Contains(string(out), c.says) || c.says == "" && !strings.Contains(string(out), "ran request --url") {
				t.Errorf("%v\n%s\nwant %q", err, out, c.says)
			}
			if cosigned, _ := os.ReadFile(filepath.Join(dir, "cosigned")); c.from != "" && !strings.Contains(string(cosigned), "/release.yml@refs/tags/"+strings.Split(c.from, "/")[0]+" ") {
				t.Errorf("cosign was asked %q", cosigned)
			}
			if strings.Contains("\n"+string(out), "\n::set-env") {
				t.Errorf("a stranger's text became a command: %s", out)
			}
			if c.from != "" && !strings.HasPrefix(string(fetched), "https://github.com/gatekeeper-ci/gatekeeper/releases/download/"+c.from+"\n") || c.from == "" && !c.tampered && !c.unsigned && len(fetched) > 0 {
				t.Errorf("fetched %s, want %s", fetched, c.from)
			}
		})
	}
}

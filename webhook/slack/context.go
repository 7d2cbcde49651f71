package slack

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// Context is what is being deployed beyond the token's claims. Everything in
// it may come from strangers. Its zero value adds nothing to a message.
type Context struct {
	Title   string   // first line of the deployed commit's message
	Authors []string // who wrote what is deployed
	Pull    *Pull    // the pull request that brought the commit
	Checks  *Checks  // of the commit
	Branch  string   // why people should look twice at where the commit is; "": it is on the default branch, or that is not known
	ReRunBy string   // who started this attempt of a re-run

	Since     string   // the commit of the last approved deploy; "": there was none
	Commits   []Commit // since then, newest first
	More      int      // commits beyond those listed
	Behind    int      // commits that this deploy takes back
	Diff      string   // of what size: "12 files, +340 −12"
	Compare   string   // URL of their diff
	Unchanged bool     // the same commit as deployed last
}

// Pull is a pull request.
type Pull struct {
	Number                      int
	Title, Author, URL          string
	ApprovedBy, ChangesWantedBy []string
}

// Checks are a commit's results.
type Checks struct {
	Passed, Running int
	Failed          []string
}

// Commit is one commit being deployed.
type Commit struct{ SHA, Title, Author string }

// maxAside cuts what is good to know beside the facts.
const maxAside = 60

// maxNames is how many names of strangers stand on one line.
const maxNames = 8

func (c Context) rows() []row {
	var rows []row
	add := func(label, text string) {
		if text != "" {
			rows = append(rows, row{label, words(line(text, maxAside))})
		}
	}
	if c.Title != "" {
		rows = append(rows, row{"Title", words(line(c.Title, maxTitle))})
	}
	if len(c.Commits) == 0 { // whose lines name them
		add("Authors", list(c.Authors))
	}
	if c.Pull != nil {
		rows = append(rows, row{"Pull request", c.Pull.text()})
	}
	if c.Checks != nil {
		add("Checks", c.Checks.text())
	}
	add("Branch", c.Branch)
	add("Re-run by", c.ReRunBy)
	return rows
}

func (p Pull) text() *slackgo.TextBlockObject {
	text := link(briefly(p.URL), fmt.Sprintf("#%d", p.Number)) + " " + escape(line(p.Title, 50)) + " by " + escape(line(p.Author, 30))
	if names := list(p.ApprovedBy); names != "" {
		text += ", approved by " + escape(line(names, 50))
	} else {
		text += ", not approved by anybody"
	}
	if names := list(p.ChangesWantedBy); names != "" {
		text += ", changes wanted by " + escape(line(names, 50))
	}
	return markup(text)
}

func (c Checks) text() string {
	parts := []string{fmt.Sprintf("%d passed", c.Passed)}
	if len(c.Failed) > 0 {
		parts = append([]string{fmt.Sprintf("⚠️ %d failed (%s)", len(c.Failed), list(c.Failed))}, parts...)
	}
	if c.Running > 0 {
		parts = append(parts, fmt.Sprintf("%d running", c.Running))
	}
	return strings.Join(parts, ", ")
}

// briefly keeps addresses short of what a whole message may have.
func briefly(address string) string {
	if len(address) > 400 {
		return ""
	}
	return address
}

func list(names []string) string {
	shown := names[:min(len(names), maxNames)]
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (c Context) blocks() []slackgo.Block {
	switch {
	case c.Unchanged:
		return []slackgo.Block{section(words("The same commit as the last approved deploy."))}
	case len(c.Commits) == 0 && c.Behind == 0:
		return nil
	}
	blocks := []slackgo.Block{section(markup(link(briefly(c.Compare), c.headline())))}
	if len(c.Commits) == 0 {
		return blocks
	}
	shown := c.Commits[:min(len(c.Commits), maxCommits)]
	var text strings.Builder
	for _, commit := range shown {
		fmt.Fprintf(&text, "%s  %s (%s)\n", line(short(commit.SHA), 12), line(commit.Title, 80), line(commit.Author, 30))
	}
	if more := c.More + len(c.Commits) - len(shown); more > 0 {
		fmt.Fprintf(&text, "and %d more", more)
	}
	return append(blocks, section(words(lines(text.String(), 600))))
}

// headline counts what is new, and what is taken back.
func (c Context) headline() string {
	total := c.More + len(c.Commits)
	text := fmt.Sprintf("*%s* since the last approved deploy", gatekeeper.Count(total, "commit"))
	if c.Behind > 0 {
		text = fmt.Sprintf("⚠️ *%s* new and *%s* taken back since the last approved deploy", gatekeeper.Count(total, "commit"), gatekeeper.Count(c.Behind, "commit"))
	}
	if c.Diff != "" {
		text += ", " + escape(line(c.Diff, 80))
	}
	return text
}

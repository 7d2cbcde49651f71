package slack

import (
	"fmt"
	"strings"

	slackgo "github.com/slack-go/slack"
)

// Context is what is being deployed beyond the token's claims. Everything in
// it may come from strangers. Its zero value adds nothing to a message.
type Context struct {
	Title   string   // first line of the deployed commit's message
	Commits []Commit // since the environment's last approved deploy, newest first
	More    int      // commits beyond those listed
	Compare string   // URL of their diff
}

// Commit is one commit being deployed.
type Commit struct{ SHA, Title, Author string }

func (c Context) rows() []row {
	if c.Title == "" {
		return nil
	}
	return []row{{"Title", words(line(c.Title, maxValue))}}
}

func (c Context) blocks() []slackgo.Block {
	if len(c.Commits) == 0 {
		return nil
	}
	shown := c.Commits[:min(len(c.Commits), maxCommits)]
	more := c.More + len(c.Commits) - len(shown)
	var list strings.Builder
	for _, commit := range shown {
		fmt.Fprintf(&list, "%s  %s (%s)\n", line(short(commit.SHA), 12), line(commit.Title, 80), line(commit.Author, 30))
	}
	if more > 0 {
		fmt.Fprintf(&list, "and %d more", more)
	}
	title := fmt.Sprintf("*%d commits* since the last approved deploy", len(shown)+more)
	return []slackgo.Block{section(markup(link(c.Compare, title))), section(words(lines(list.String(), 1200)))}
}

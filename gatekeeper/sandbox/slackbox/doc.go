// Package slackbox is a stand-in for a Slack workspace: its Web API, its
// callbacks and Socket Mode, and a page on which people see the workspace as
// Slack would show it. It enforces Slack's limits, can be told to fail, and
// remembers everything. It listens on loopback only, because whoever reaches
// it can act as anybody.
package slackbox

// Package slack asks people on Slack and takes their answers: one message for
// each request, kept up to date, and signed clicks coming back.
//
// Nothing that is worth keeping lives in this process. A click is recorded
// before it is acknowledged, a message is reconciled from the request's
// current state, and both survive a crash at any point. Identity is Slack's
// immutable user id and nothing else; who that is gets looked up live.
//
// The file layout follows the way of a request: text, layout, message (pure),
// deliver, find, pace, faults (out), signature, payload, intake, click, modal,
// reply (in), directory (who people are), manifest (how the app is set up).
package slack

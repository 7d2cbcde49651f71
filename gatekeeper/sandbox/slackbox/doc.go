// Package slackbox is a stand-in for a Slack workspace: its Web API, its
// signed callbacks and Socket Mode, and a page on which people see the
// workspace much as Slack would show it, and click. It enforces Slack's
// limits, scopes and rates, can be told to fail, and remembers everything.
// The demo and the tests use it. It listens on loopback only: whoever reaches
// it can act as anybody.
//
//	/                 the page; ?as=U0BOB&in=C0DEPLOYS picks person and place
//	/api/METHOD       the Web API
//	/response/ID      response_url
//	/link/            Socket Mode, by the URL that apps.connections.open gives
//	/_sandbox/…       for other processes: what people and administrators do
//
// # Control endpoints
//
// GET answers what is there:
//
//	/_sandbox/messages    messages, oldest first; select by channel, user (direct
//	                      messages to them), contains (text), action, value (of a
//	                      button); wait=30s answers once there is one
//	/_sandbox/calls       calls of the Web API; select by method
//	/_sandbox/deliveries  callbacks to the app, with what it answered
//	/_sandbox/notices     what Slack itself told people of failures
//	/_sandbox/modal       ?user=U0BOB: what they have open, or null
//	/_sandbox/home        ?user=U0BOB: their home tab, or null
//	/_sandbox/people      users, groups, channels, and open sockets
//	/_sandbox/wait        ?revision=N&timeout=30s: answers {"revision":M} once M > N
//	/_sandbox/events      the same as server-sent events
//
// POST takes a JSON object of the Go type named, with Content-Type
// application/json. It answers 200; 409 {"error":…} says that there is nothing
// to do it to, such as no such button:
//
//	/_sandbox/click       Click {"user","action_id","value","channel","ts","view","forge"} → Delivery
//	/_sandbox/submit      Submission {"user","view","values":{"reason":"…"},"forge"} → Delivery
//	/_sandbox/close       {"user"}: closes their modal → Delivery
//	/_sandbox/command     Typed {"user","channel","text":"/gatekeeper pending","forge"} → Delivery
//	/_sandbox/home        {"user"}: opens the home tab → Delivery
//	/_sandbox/say         {"user","channel","text","thread_ts"} → Message
//	/_sandbox/redeliver   {"index"}: of /_sandbox/deliveries, over HTTP again → Delivery
//	/_sandbox/fail        Fault {"method","times","status","error","retry_after","body","delay":"3s","reset","after"};
//	                      DELETE takes all faults away
//	/_sandbox/user        User, /_sandbox/group Group, /_sandbox/channel Channel: adds or replaces
//	/_sandbox/scopes      {"scopes":[…]} of the bot token
//	/_sandbox/callbacks   {"interactions","commands","events"}: URLs
//	/_sandbox/delete      {"channel","ts"}: an administrator deletes a message
//	/_sandbox/sockets     {"reason":"refresh_requested"}: ends Socket Mode connections; "" cuts them
//
// # The page, for browser tests
//
// Messages are article[data-ts][data-channel]; private ones have
// data-ephemeral. Buttons are .button[data-action-id][data-value], with
// aria-busy until acknowledged. The modal is #modal with inputs named by block
// id, #modal-submit and [data-close]; errors are [data-error-for=BLOCK]. A
// confirmation is #confirm with #confirm-yes and #confirm-no. #app tells
// data-as, data-in and data-revision; #switcher holds a[data-user].
package slackbox

package gatekeeper

// Outcome is what the rules say to a workload. Its zero value refuses.
type Outcome int

// The outcomes, by their names in rules tests.
const (
	Refuse       Outcome = iota // "deny"
	NeedApproval                // "approve"
	Allow                       // "allow": approval: none
)

// String is the outcome's name in rules tests.
func (o Outcome) String() string {
	switch o {
	case NeedApproval:
		return "approve"
	case Allow:
		return "allow"
	}
	return "deny"
}

// Decision is what the rules in force say about one workload asking for one
// environment at one time, with the reasons. Its zero value refuses.
type Decision struct {
	Outcome     Outcome
	Reason      string        // one sentence for the one who asked
	Rule        *Rule         // the rule that decided; nil when none fits
	BreakGlass  *BreakGlass   // who may approve in an emergency; nil: nobody
	Freeze      string        // the name of the freeze that changed the outcome, if one did
	RulesDigest string        // hex SHA-256 over the rules in force
	Observed    []Observation // what rules in mode: observe would have decided instead
	Considered  []Considered  // every rule looked at, in file order, the deciding one last
}

// Observation is what a rule in mode: observe, which stands before the one
// that decides and fits, would have decided. Nothing comes of it but a record.
type Observation struct {
	Rule    string `json:"rule"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Outcome string `json:"outcome"` // approve, allow or deny
	Reason  string `json:"reason"`
	Freeze  string `json:"freeze,omitempty"`
	Digest  string `json:"digest"` // of the rule
}

// Considered is one rule that was looked at and, where it did not fit, the
// first thing that did not match.
type Considered struct {
	Rule     string    `json:"rule"`
	File     string    `json:"file,omitempty"`
	Line     int       `json:"line,omitempty"`
	Column   int       `json:"column,omitempty"`
	Matched  bool      `json:"matched"`
	Observed bool      `json:"observed,omitempty"` // mode: observe: would have decided, but only records it
	Fits     int       `json:"fits,omitempty"`     // how many keys did match before the first that did not
	Mismatch *Mismatch `json:"mismatch,omitempty"`
	// Matches are the keys that did fit, as far as the rule was looked at;
	// only an explanation has them.
	Matches []Match `json:"matches,omitempty"`
}

// Match is a key of a rule that fits, with the value wanted and the value
// seen.
type Match struct {
	Key  string `json:"key"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

// Mismatch is the first key of a rule that did not match, with the value
// wanted and the value seen.
type Mismatch struct {
	Key    string `json:"key"` // as in the rule: repository, claims.actor, when, environment
	Want   string `json:"want"`
	Got    string `json:"got"`
	Absent bool   `json:"absent,omitempty"` // the claim is not in the token at all
}

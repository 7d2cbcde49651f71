package sink

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
)

// logAudit is the facility of audit logs (RFC 5424 section 6.2.1).
const logAudit = 13

// Severities of RFC 5424.
const (
	severityWarning = 4
	severityInfo    = 6
)

// message is a record as RFC 5424 has it. The structured data are the two
// registered elements, so that no enterprise number is made up: origin says
// which software it was, meta.sequenceId the place in the ledger.
func message(host, version string, r ledger.Record) []byte {
	severity := severityInfo
	if r.Refused {
		severity = severityWarning
	}
	header := fmt.Sprintf("<%d>1 %s %s gatekeeper - %s [origin software=\"gatekeeper\" swVersion=\"%s\"][meta sequenceId=\"%d\"] ",
		logAudit*8+severity, r.Time.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), printable(host, 255), printable(r.Type, 32),
		param(cut(version, 32)), r.Index%(1<<31-1)+1)
	return append([]byte(header), r.Line...)
}

// frame counts octets (RFC 6587 section 3.4.1, RFC 5425 section 4.3): what a
// stranger wrote into a message cannot end it (threats row 46).
func frame(w *bufio.Writer, message []byte) error {
	if _, err := fmt.Fprintf(w, "%d ", len(message)); err != nil {
		return err
	}
	_, err := w.Write(message)
	return err
}

// param escapes a value of structured data (RFC 5424 section 6.3.3).
func param(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(s)
}

// printable is a header field: US-ASCII without spaces, "-" when empty.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

func cut(s string, most int) string {
	runes := []rune(s)
	return string(runes[:min(len(runes), most)])
}

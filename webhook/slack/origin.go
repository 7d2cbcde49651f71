package slack

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// The doors that buttons stand at, as the ledger names them.
const (
	viaButton  = "slack.button"  // the request's message
	viaModal   = "slack.modal"   // a form that one of its buttons opened
	viaHome    = "slack.home"    // the person's home tab
	viaCommand = "slack.command" // the private answer to /gatekeeper
)

// comesFrom notes where a click was made: in a home tab, in a private answer
// or in a message.
func (p payload) comesFrom(a action, c *click) error {
	switch {
	case p.Container.Type == "view":
		if p.View.Type != "home" || p.View.ID == "" || p.Container.ViewID != "" && p.Container.ViewID != p.View.ID {
			return bad("payload is of a view that has no buttons of ours")
		}
		c.Via, c.Seal = viaHome, sealOf(a.Block)
		return nil
	case p.Container.Ephemeral:
		c.Via, c.Seal = viaCommand, sealOf(a.Block)
	default:
		c.Via = viaButton
	}
	var err error
	c.Channel, c.TS, err = p.where()
	return err
}

// A request's message is known by its place. Homes and private answers have
// none that would be the request's, so each of their buttons carries a seal in
// its block's id: that we offered this request to this person at this door
// (threats row 26). It is no permission: the vote is checked like any other.
const sealed = "gatekeeper_offer:"

// offerKey is the key of seals. It comes from the bot token, so all replicas
// have it and it changes with the installation.
func offerKey(botToken string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(botToken), nil, "gatekeeper: buttons offered in Slack", sha256.Size)
}

func (s *Slack) seal(via, user, request string) string {
	mac := hmac.New(sha256.New, s.offers)
	mac.Write([]byte(via + "\x00" + user + "\x00" + request))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// offerBlock is the id of the block that holds a person's buttons for a
// request. Slack wants it to be unique within a view.
func (s *Slack) offerBlock(via, user, request string) string {
	return sealed + s.seal(via, user, request)
}

func sealOf(block string) string {
	seal, ok := strings.CutPrefix(block, sealed)
	if !ok {
		return ""
	}
	return seal
}

// misplaced says why a click does not come from where its request was
// offered: told is for the person, why for the ledger; both are empty when it
// does.
func (s *Slack) misplaced(ctx context.Context, r gatekeeper.Request, c click) (told, why string, err error) {
	if c.Via == viaHome || c.Via == viaCommand {
		if !hmac.Equal([]byte(c.Seal), []byte(s.seal(c.Via, c.Person.Slack, r.ID))) {
			return "that button was not offered to you for this request", "the button was not offered to the person for this request", nil
		}
		return "", "", nil
	}
	f, err := s.located(ctx, r)
	if err != nil {
		return "", "", err
	}
	if f.Channel != c.Channel || f.TS != c.TS {
		return "that message does not belong to the request", "the click came from another message", nil
	}
	return "", "", nil
}

// thanks follows a vote that counted. The request's message shows it; a home
// tab is brought up to date, and a private answer, which nothing updates, is
// followed by another one.
func (s *Slack) thanks(ctx context.Context, r gatekeeper.Request, c click) (answer, error) {
	switch c.Via {
	case viaHome:
		if err := s.Memory.DropNote(ctx, noteNotice, c.Person.Slack); err != nil {
			return answer{}, err
		}
		return answer{}, s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkHome, Key: c.Person.Slack}}})
	case viaCommand:
		return answer{plain: true, text: "Your vote counts. " + header(r) + "."}, nil
	}
	return answer{}, nil
}

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// order is what an operator's command tells the running service, which alone
// writes to its database. It is sealed with the session key, which whoever can
// read the service's files has.
type order struct {
	Do      string    `json:"do"`
	Request string    `json:"request"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires"`
}

// sealedOrder is an order on its way.
type sealedOrder struct {
	Order []byte `json:"order"`
	MAC   []byte `json:"mac"`
}

// orderTime is how long an order holds. Carrying one out twice does nothing.
const orderTime = time.Minute

// orderMAC is over a purpose as well: the session key seals other things.
func orderMAC(secret, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("gatekeeper order v1\x00"))
	mac.Write(body)
	return mac.Sum(nil)
}

func sealOrder(secret []byte, o order) ([]byte, error) {
	o.Expires = time.Now().Add(orderTime).UTC()
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealedOrder{Order: body, MAC: orderMAC(secret, body)})
}

func openOrder(secret, sealed []byte, now time.Time) (order, error) {
	var in sealedOrder
	var o order
	err := json.Unmarshal(sealed, &in)
	if err != nil || len(secret) == 0 || !hmac.Equal(in.MAC, orderMAC(secret, in.Order)) || json.Unmarshal(in.Order, &o) != nil {
		return order{}, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the order is not sealed with this gatekeeper's session key")
	}
	if now.After(o.Expires) {
		return order{}, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the order is too old; are both clocks right?")
	}
	return o, nil
}

// sendOrder hands an order to the service on its admin port.
func sendOrder(ctx context.Context, cfg config, o order, into any) error {
	secret, err := loadOrCreateSecret(cfg.SessionKey)
	if err != nil {
		return err
	}
	sealed, err := sealOrder(secret, o)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(cfg.AdminListen)
	if err != nil {
		return err
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	at := "http://" + net.JoinHostPort(host, port)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/orders", bytes.NewReader(sealed))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Timeout: 40 * time.Second}).Do(r)
	if err != nil {
		return fmt.Errorf("the gatekeeper does not answer at %s; it has to run for this", at)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		var refused struct {
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(body, &refused)
		return fmt.Errorf("the gatekeeper refused (%d): %s", answer.StatusCode, oneLine(refused.Description))
	}
	return json.Unmarshal(body, into)
}

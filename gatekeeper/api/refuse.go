package api

import (
	"log/slog"
	"net/http"
)

// Refuse answers a call that reaches no route, in the API's words. It logs
// nothing: whoever refuses thousands counts them.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c := &call{ResponseWriter: w, id: newCallID()}
	w.Header().Set("X-Request-Id", c.id)
	s := &server{Options: Options{Logger: slog.New(slog.DiscardHandler)}}
	s.fail(c, r, err)
}

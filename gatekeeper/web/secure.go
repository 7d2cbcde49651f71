package web

import (
	"embed"
	"net/http"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

func assets() http.Handler {
	files := http.FileServerFS(assetFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") { // no listings
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		files.ServeHTTP(w, r)
	})
}

// maxForm is the largest form or passkey answer that is read.
const maxForm = 64 << 10

// secured refuses forms that another site sends (CSRF, by Sec-Fetch-Site and
// Origin) and tells the browser to run and load nothing but ours. forms are
// other origins that a form may end at: browsers hold redirects to it too.
func secured(next http.Handler, forms string) http.Handler {
	policy := strings.Join([]string{
		"default-src 'none'", "style-src 'self'", "script-src 'self'", "connect-src 'self'", "img-src 'self'",
		strings.TrimSpace("form-action 'self' " + forms), "frame-ancestors 'none'", "base-uri 'none'",
	}, "; ")
	guarded := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer") // a request's id is nobody else's to know
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		guarded.ServeHTTP(w, r)
	})
}

// slackOnly is the one page where nobody can sign in.
func slackOnly(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "GET is the method here", http.StatusMethodNotAllowed)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/assets/") {
		assets().ServeHTTP(w, r)
		return
	}
	parseViews().show(w, http.StatusOK, "slack", view{Title: "Decide in Slack"})
}

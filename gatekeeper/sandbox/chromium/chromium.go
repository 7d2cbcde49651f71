// Package chromium starts a headless browser for tests that look at pages as
// people do. It is for tests alone.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// most is how long one test may look at pages.
const most = 5 * time.Minute

// Start gives the context of a fresh browser, which ends with the test. Where
// there is no Chromium the test is skipped; in CI it fails.
func Start(t testing.TB) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun)
	// Without these a browser asks its maker's servers at each start.
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium does not start:", err)
	}
	ctx, cancel = context.WithTimeout(ctx, most)
	t.Cleanup(cancel)
	return ctx
}

func path(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	parts.Missing(t, "no Chromium here: apt-get install chromium")
	return ""
}

// Shot writes a picture of the whole page to the file, for people to look at,
// where the environment names a folder for such pictures.
func Shot(ctx context.Context, t testing.TB, name string) {
	t.Helper()
	dir := os.Getenv("GATEKEEPER_SHOTS")
	if dir == "" {
		return
	}
	body, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+name+".png", body, 0o600); err != nil {
		t.Fatal(err)
	}
}

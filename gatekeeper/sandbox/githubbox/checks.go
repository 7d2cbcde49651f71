package githubbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"
)

// CheckRun is a check of a commit; those of Apps are made by calls.
type CheckRun struct {
	ID         int64       `json:"id"`
	Name       string      `json:"name"`
	HeadSHA    string      `json:"head_sha"`
	Status     string      `json:"status"`
	Conclusion string      `json:"conclusion,omitempty"`
	DetailsURL string      `json:"details_url,omitempty"`
	ExternalID string      `json:"external_id,omitempty"`
	Output     CheckOutput `json:"output"`
	App        *CheckApp   `json:"app,omitempty"` // who made it
}

// CheckApp is the App that made a check run.
type CheckApp struct {
	ID int64 `json:"id"`
}

// CheckOutput is what a check run tells.
type CheckOutput struct {
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	Text        string       `json:"text,omitempty"`
	Annotations []Annotation `json:"annotations,omitempty"`
	Count       int          `json:"annotations_count"`
}

// Annotation is one remark at a line.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column,omitempty"`
	EndColumn   int    `json:"end_column,omitempty"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title,omitempty"`
}

// The Checks API's limits
// (https://docs.github.com/rest/checks/runs#create-a-check-run).
const (
	maxAnnotations = 50
	maxOutput      = 65535
)

func (g *GitHub) checkCalls() {
	g.installed("GET /repos/{owner}/{repo}/commits/{sha}/check-runs", "checks:read", g.checksOf)
	g.installed("POST /repos/{owner}/{repo}/check-runs", "checks:write", g.createCheck)
	g.installed("PATCH /repos/{owner}/{repo}/check-runs/{id}", "checks:write", g.updateCheck)
}

// Check adds a check run that somebody else made.
func (g *GitHub) Check(c CheckRun) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.ID = int64(len(g.checks) + 1)
	g.checks = append(g.checks, c)
}

// Checks are all check runs.
func (g *GitHub) Checks() []CheckRun {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.checks)
}

func (g *GitHub) checksOf(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := r.URL.Query().Get("check_name")
	list := []CheckRun{}
	for _, c := range slices.Backward(g.checks) { // the newest first
		if c.HeadSHA == r.PathValue("sha") && (name == "" || c.Name == name) {
			c.Output.Annotations = nil // they are listed by a call of their own
			list = append(list, c)
		}
	}
	answer(w, http.StatusOK, map[string]any{"total_count": len(list), "check_runs": page(w, r, list)})
}

func (g *GitHub) createCheck(w http.ResponseWriter, r *http.Request) {
	var c CheckRun
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Name == "" || c.HeadSHA == "" {
		refuse(w, http.StatusUnprocessableEntity, "Invalid request")
		return
	}
	if why := c.Output.wrong(); why != "" {
		refuse(w, http.StatusUnprocessableEntity, why)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.ID, c.App, c.Output.Count = int64(len(g.checks)+1), &CheckApp{AppID}, len(c.Output.Annotations)
	if c.Conclusion != "" {
		c.Status = "completed"
	}
	g.checks = append(g.checks, c)
	answer(w, http.StatusCreated, c)
}

// updateCheck adds annotations to those that are there.
func (g *GitHub) updateCheck(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.checks, func(c CheckRun) bool { return jsonNumber(int(c.ID)) == r.PathValue("id") })
	if i < 0 {
		notFound(w)
		return
	}
	next := g.checks[i]
	had := next.Output.Annotations
	next.Output.Annotations = nil
	if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "Invalid request")
		return
	}
	if why := next.Output.wrong(); why != "" {
		refuse(w, http.StatusUnprocessableEntity, why)
		return
	}
	next.Output.Annotations = append(slices.Clone(had), next.Output.Annotations...)
	next.Output.Count = len(next.Output.Annotations)
	if next.Conclusion != "" {
		next.Status = "completed"
	}
	g.checks[i] = next
	answer(w, http.StatusOK, next)
}

func (o CheckOutput) wrong() string {
	if len(o.Annotations) > maxAnnotations {
		return fmt.Sprintf("Invalid request.\n\nNo more than %d items are allowed; %d were supplied.", maxAnnotations, len(o.Annotations))
	}
	if utf8.RuneCountInString(o.Summary) > maxOutput || utf8.RuneCountInString(o.Text) > maxOutput {
		return fmt.Sprintf("Only %d characters are allowed", maxOutput)
	}
	for _, a := range o.Annotations {
		switch {
		case a.Path == "" || a.StartLine < 1 || a.EndLine < a.StartLine || a.Message == "":
			return "annotations need path, start_line, end_line and message"
		case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
			return "annotation_level is notice, warning or failure"
		case a.StartColumn != 0 && a.StartLine != a.EndLine:
			return "columns are for annotations of one line"
		case len(a.Message) > 64<<10 || len(a.Title) > 255:
			return "an annotation is too long"
		}
	}
	return ""
}

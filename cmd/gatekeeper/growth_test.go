package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// holding is what a process holds, as it says itself.
type holding struct {
	at                           time.Duration
	goroutines, files, megabytes int
}

// What a replica may hold more at the end than at the start, when the same
// nothing is under way. A leak of one goroutine, descriptor or page for each
// deployment is far beyond it within half an hour.
const (
	mostGoroutines = 100
	mostFiles      = 60
	mostMegabytes  = 150 // a heap that Go has not given back yet
)

// watchGrowth looks at the replicas while they are in trouble, and fails when
// one of those that live on has grown.
func (c *chaos) watchGrowth() (end func()) {
	began := time.Now()
	names := []string{"in this process", "killed over and over", "lives"}
	admins := []string{c.doors.Addr().String(), c.second.admin, c.third.admin}
	samples := make([][]holding, len(admins))
	look := func() {
		for i, admin := range admins {
			if h, ok := holdsNow("http://" + admin + "/metrics"); ok {
				h.at = time.Since(began).Round(time.Second)
				samples[i] = append(samples[i], h)
			}
		}
	}
	look()
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				look()
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		look()
		c.t.Log(table(names, samples))
		c.bounded(samples[2])
	}
}

func (c *chaos) bounded(all []holding) {
	c.t.Helper()
	if len(all) < 2 {
		c.t.Fatal("the replica that lives does not say what it holds")
	}
	first, last := all[0], all[len(all)-1]
	if last.goroutines > first.goroutines+mostGoroutines || last.files > first.files+mostFiles || last.megabytes > first.megabytes+mostMegabytes {
		c.t.Errorf("a replica has grown: from %+v to %+v", first, last)
	}
}

func table(names []string, samples [][]holding) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nreplica\tafter\tgoroutines\tfiles\tMiB\n")
	for i, name := range names {
		for _, h := range samples[i] {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", name, h.at, h.goroutines, h.files, h.megabytes)
		}
	}
	_ = w.Flush()
	return b.String()
}

// holdsNow reads a process's metrics.
func holdsNow(url string) (h holding, ok bool) {
	status, body := fetch(&http.Client{Timeout: 10 * time.Second}, url)
	if status != http.StatusOK {
		return h, false
	}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil:
		case name == "go_goroutines":
			h.goroutines = int(value)
		case name == "process_open_fds":
			h.files = int(value)
		case name == "process_resident_memory_bytes":
			h.megabytes = int(value) >> 20
		}
	}
	return h, true
}

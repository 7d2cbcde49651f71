package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// series is what is read of one benchmark, whose sizes are its parts.
type series struct {
	bench string
	unit  string
	scale float64
}

// benched runs the benchmarks of a package, so that there is one measure of a
// thing, and takes the best of several runs: the others were disturbed.
func (o growthOptions) benched(ctx context.Context, c *curve, dir string, from int, wanted []series) (*curve, error) {
	var names []string
	for _, s := range wanted {
		names = append(names, s.bench)
	}
	args := []string{"test", dir, "-run", "-", "-bench", "^Benchmark(" + strings.Join(names, "|") + ")$", "-count", "5", "-benchtime", "200ms"}
	if o.short {
		args = append(args[:len(args)-4], "-count", "1", "-benchtime", "1x")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = o.source, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	found, err := best(out)
	if err != nil {
		return nil, err
	}
	at := map[int][]float64{}
	for i, s := range wanted {
		for n, v := range found[s.bench+" "+s.unit] {
			if n < from {
				continue
			}
			if at[n] == nil {
				at[n] = make([]float64, len(wanted))
			}
			at[n][i] = v * s.scale
		}
	}
	for _, n := range slices.Sorted(maps.Keys(at)) {
		c.points = append(c.points, point{float64(n), at[n]})
	}
	if len(c.points) < 3 {
		return nil, fmt.Errorf("go %s measured %d sizes", strings.Join(args, " "), len(c.points))
	}
	return c, nil
}

// best reads benchmarks' results: by name and unit, then by size.
func best(out []byte) (map[string]map[int]float64, error) {
	found := map[string]map[int]float64{}
	r := benchfmt.NewReader(bytes.NewReader(out), "go test")
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		base, parts := result.Name.Parts()
		if len(parts) == 0 {
			continue
		}
		n, err := strconv.Atoi(strings.TrimPrefix(string(parts[0]), "/"))
		if err != nil {
			continue // a part that is no size
		}
		for _, v := range result.Values {
			key := string(base) + " " + v.Unit
			if found[key] == nil {
				found[key] = map[int]float64{}
			}
			if old, there := found[key][n]; !there || v.Value < old {
				found[key][n] = v.Value
			}
		}
	}
	return found, r.Err()
}

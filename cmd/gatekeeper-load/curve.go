package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// curve is how something changes as something else grows.
type curve struct {
	name, title, over string
	columns           []column
	points            []point
}

// column is a line of one of the plot's panels; a panel's only line has no
// name.
type column struct{ panel, name, unit string }

func (c column) String() string {
	if c.name == "" {
		return c.panel + " (" + c.unit + ")"
	}
	return c.panel + ", " + c.name + " (" + c.unit + ")"
}

type point struct {
	n      float64
	values []float64 // one for each column
}

// table is for the document.
func (c *curve) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", c.over)
	for _, col := range c.columns {
		fmt.Fprintf(&b, " %s |", col)
	}
	b.WriteString("\n| ---: |" + strings.Repeat(" ---: |", len(c.columns)) + "\n")
	for _, p := range c.points {
		fmt.Fprintf(&b, "| %s |", grouped(p.n))
		for _, v := range p.values {
			fmt.Fprintf(&b, " %s |", figure(v))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// figure writes as many digits as mean something.
func figure(v float64) string {
	switch {
	case v >= 100 || v == math.Trunc(v):
		return grouped(v)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func (c *curve) csv() string {
	var b strings.Builder
	b.WriteString(strconv.Quote(c.over))
	for _, col := range c.columns {
		b.WriteString("," + strconv.Quote(col.String()))
	}
	for _, p := range c.points {
		b.WriteString("\n" + strconv.FormatFloat(p.n, 'f', -1, 64))
		for _, v := range p.values {
			b.WriteString("," + strconv.FormatFloat(v, 'g', 6, 64))
		}
	}
	return b.String() + "\n"
}

package main

import (
	"bytes"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours of the lines, far apart for eyes that see fewer of them.
var shades = [...]color.Color{color.RGBA{0x1f, 0x5f, 0xa8, 0xff}, color.RGBA{0xd9, 0x6b, 0x0b, 0xff}, color.RGBA{0x3c, 0x8c, 0x40, 0xff}}

// plot draws the curve's panels side by side, sizes by powers of ten.
func (c *curve) plot() ([]byte, error) {
	var panels []*plot.Plot
	for i := 0; i < len(c.columns); {
		last := i + 1
		for last < len(c.columns) && c.columns[last].panel == c.columns[i].panel {
			last++
		}
		p, err := c.panel(i, last)
		if err != nil {
			return nil, err
		}
		panels, i = append(panels, p), last
	}
	canvas := vgsvg.New(8*vg.Centimeter*vg.Length(len(panels)), 6*vg.Centimeter)
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 4 * vg.Millimeter, PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter, PadRight: 6 * vg.Millimeter}
	white := draw.New(canvas)
	white.SetColor(color.White)
	white.Fill(white.Path())
	for i, place := range plot.Align([][]*plot.Plot{panels}, tiles, white)[0] {
		panels[i].Draw(place)
	}
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	return b.Bytes(), err
}

// panel draws the columns of one panel.
func (c *curve) panel(first, last int) (*plot.Plot, error) {
	p := plot.New()
	plain(p)
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.columns[first].panel, c.over, c.columns[first].unit
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	least, most := math.Inf(1), 0.0
	for i := first; i < last; i++ {
		var xy plotter.XYs
		for _, at := range c.points {
			xy = append(xy, plotter.XY{X: at.n, Y: at.values[i]})
			least, most = min(least, at.values[i]), max(most, at.values[i])
		}
		line, dots, err := plotter.NewLinePoints(xy)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = shades[(i-first)%len(shades)], vg.Points(1.5)
		dots.Color, dots.Shape = line.Color, draw.CircleGlyph{}
		p.Add(line, dots)
		if last-first > 1 {
			p.Legend.Add(c.columns[i].name, line, dots)
		}
	}
	scale(p, least, most)
	return p, nil
}

// plain writes with a font without serifs, which every browser has one of.
func plain(p *plot.Plot) {
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(9)}
	}
}

// scale begins at nothing, so that flat looks flat, unless there are powers of
// ten between the figures.
func scale(p *plot.Plot, least, most float64) {
	if least > 0 && most/least > 20 {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Min, p.Y.Max = least/2, most*4
		return
	}
	p.Y.Min, p.Y.Max = 0, most*1.5 // the legend's place
}

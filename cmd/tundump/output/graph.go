package output

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/guptarohit/asciigraph"

	"tundump/decode/stats"
)

// GraphOptions say how an input/output graph is drawn in text. Zero stands for
// the default in each.
type GraphOptions struct {
	Width  int  // columns, the labels not counted; 72
	Height int  // lines; 10
	Color  bool // for a terminal that has colours
}

// Graph draws the bytes per second of both directions over time, up as a line
// of its own; "" if there is no time that passed.
func Graph(s *stats.Series, o GraphOptions) string {
	if o.Width <= 0 {
		o.Width = 72
	}
	if o.Height <= 0 {
		o.Height = 10
	}
	up, down, seconds := perSecond(s, o.Width)
	if len(up) < 2 {
		return ""
	}
	options := []asciigraph.Option{
		asciigraph.Height(o.Height), asciigraph.LowerBound(0), asciigraph.Offset(3),
		asciigraph.YAxisValueFormatter(func(v float64) string { return size(int64(math.Round(v))) + "/s" }),
		asciigraph.XAxisRange(0, seconds), asciigraph.XAxisTickCount(5),
		asciigraph.XAxisValueFormatter(axisTime),
		asciigraph.SeriesChars(asciigraph.DefaultCharSet, asciigraph.CreateCharSet("·")),
		asciigraph.Caption("down: line    up: dots"),
	}
	if o.Color {
		options = append(options, asciigraph.SeriesColors(asciigraph.Blue, asciigraph.Green))
	}
	return asciigraph.PlotMany([][]float64{down, up}, options...)
}

func axisTime(seconds float64) string {
	return time.Duration(seconds * 1e9).Round(time.Duration(roundTo(seconds))).String()
}

// roundTo returns what times of that size are rounded to, in nanoseconds.
func roundTo(seconds float64) int64 {
	switch {
	case seconds < 1:
		return 1e6
	case seconds < 100:
		return 1e8
	}
	return 1e9
}

// perSecond returns the bytes per second in at most n stretches of equal
// length, and how many seconds they are in all.
func perSecond(s *stats.Series, n int) (up, down []float64, seconds float64) {
	if len(s.Buckets) == 0 || s.Width <= 0 {
		return nil, nil, 0
	}
	each := (len(s.Buckets) + n - 1) / n
	for i := 0; i < len(s.Buckets); i += each {
		part := s.Buckets[i:min(i+each, len(s.Buckets))]
		var sum [2]int64
		for j := range part {
			sum[0] += part[j].Wire[0].Bytes + bare(&part[j], 0)
			sum[1] += part[j].Wire[1].Bytes + bare(&part[j], 1)
		}
		width := float64(len(part)) * float64(s.Width) / 1e9
		up, down = append(up, float64(sum[0])/width), append(down, float64(sum[1])/width)
	}
	return up, down, float64(len(s.Buckets)) * float64(s.Width) / 1e9
}

// bare returns the bytes of packets that are in no message.
func bare(b *stats.Bucket, d int) int64 {
	if b.Wire[d].N > 0 {
		return 0
	}
	return b.Inner[d].Bytes
}

// The SVG's measures, in pixels.
const (
	svgWidth, svgHeight      = 960, 360
	svgLeft, svgTop          = 90, 30
	svgPlotWide, svgPlotHigh = svgWidth - svgLeft - 20, svgHeight - svgTop - 50
)

// WriteSVG draws the same graph as an SVG image: one file, no script, no font
// and nothing that is fetched.
func WriteSVG(w io.Writer, s *stats.Series) error {
	up, down, seconds := perSecond(s, svgPlotWide/2)
	top := 1.0
	for i := range up {
		top = max(top, up[i], down[i])
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", svgWidth, svgHeight, svgWidth, svgHeight)
	fmt.Fprintf(b, `<title>Bytes per second in the tunnels</title><rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i := range 5 {
		y := svgTop + svgPlotHigh*i/4
		fmt.Fprintf(b, `<path d="M%d %dH%d" stroke="#ddd"/><text x="%d" y="%d" text-anchor="end">%s/s</text>`+"\n", svgLeft, y, svgLeft+svgPlotWide, svgLeft-6, y+4, size(int64(top*float64(4-i)/4)))
		x := svgLeft + svgPlotWide*i/4
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", x, svgTop+svgPlotHigh+20, axisTime(seconds*float64(i)/4))
	}
	for i, l := range [...]struct {
		name, color string
		values      []float64
	}{{"down", "#1f77b4", down}, {"up", "#2ca02c", up}} {
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, l.color)
		for j, v := range l.values {
			x := svgLeft + svgPlotWide*(float64(j)+0.5)/float64(len(l.values))
			fmt.Fprintf(b, "%.1f,%.1f ", x, svgTop+svgPlotHigh*(1-v/top))
		}
		fmt.Fprintf(b, `"/><text x="%d" y="18" fill="%s">%s</text>`+"\n", svgLeft+60*i, l.color, l.name)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">from %s</text></svg>`+"\n", svgLeft+svgPlotWide, svgHeight-8, time.Unix(0, s.Start).UTC().Format(time.RFC3339))
	return b.Flush()
}

package tui

import (
	"slices"
	"strings"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
	"tundump/tui/paint"
)

// flowFields are the fields that a flow has as a whole.
var flowFields = []string{
	"ip.addr", "ip.src", "ip.dst", "ipv6.addr", "ipv6.src", "ipv6.dst",
	"tcp.port", "tcp.srcport", "tcp.dstport", "tcp.stream",
	"udp.port", "udp.srcport", "udp.dstport", "udp.stream", "tunnel.stream",
}

// flowFilter compiles a display filter that can be asked of flows. It is nil if
// text is none: then it is a part of the text. why says which field of a filter
// flows do not have.
func flowFilter(text string) (f *filter.Filter, why string) {
	if state, _ := filter.Check(text); state != filter.Valid && state != filter.Deprecated {
		return nil, ""
	}
	f, err := filter.Compile(text)
	if err != nil {
		return nil, ""
	}
	for _, fd := range f.Fields() {
		if !slices.Contains(flowFields, fd.Name) {
			return nil, "flows have no " + fd.Name + ", but " + strings.Join(flowFields, " ") + "; so this is looked for as text"
		}
	}
	for _, p := range f.Protocols() {
		if !slices.Contains([]string{"ip", "ipv6", "tcp", "udp"}, p) {
			return nil, ""
		}
	}
	if len(f.Fields())+len(f.Protocols()) == 0 {
		return nil, ""
	}
	return f, ""
}

// flowAsker asks a filter of flows.
type flowAsker struct {
	filter   *filter.Filter
	scratch  filter.Scratch
	event    decode.Event
	facts    packet.Facts
	analysis flow.Analysis
	parser   *packet.Parser
}

func newFlowAsker(f *filter.Filter) *flowAsker {
	return &flowAsker{filter: f, parser: packet.NewParser()}
}

// passes reports whether a packet of either side of the flow passes, as far as
// the flow says.
func (a *flowAsker) passes(f *Flow) bool {
	return a.side(f, 0) || a.side(f, 1)
}

func (a *flowAsker) side(f *Flow, side uint8) bool {
	src, dst := f.Addr[side], f.Addr[1-side]
	a.event = decode.Event{Kind: decode.Record, Tunnel: f.Tunnel, Dir: decode.Direction(side)}
	a.facts = packet.Facts{WScale: -1, Version: 4, Header: header4[:], Transport: f.Proto, L4Complete: true,
		Src: src.Addr(), Dst: dst.Addr(), SrcPort: src.Port(), DstPort: dst.Port()}
	if src.Addr().Is6() {
		a.facts.Version, a.facts.Header = 6, header6[:]
	}
	a.analysis = flow.Analysis{Proto: f.Proto, Stream: f.Stream, Side: side}
	return a.filter.Match(&field.Row{Event: &a.event, Packet: &a.facts, Flow: &a.analysis, Family: -1, Parser: a.parser}, &a.scratch)
}

// What stands for a header that is not read.
var (
	header4 = [20]byte{0x45}
	header6 = [40]byte{0x60}
)

// judgeFlows says what was typed to narrow the flows down.
func judgeFlows(text string) verdict {
	f, why := flowFilter(text)
	v := verdict{col: -1, text: why}
	switch {
	case f != nil:
		v.style = paint.Good
	case why != "":
		v.style = paint.Caution
	}
	return v
}

// completeFlows completes the fields that flows have.
func completeFlows(text string, at int) (from, to int, list []completion) {
	from, to, all := completeFilter(text, at)
	for _, c := range all {
		if slices.Contains(flowFields, c.text) {
			list = append(list, c)
		}
	}
	return from, to, list
}

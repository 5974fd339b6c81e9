package main

import (
	"fmt"
	"strings"
	"sync"

	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/packet"
)

// dropFilter compiles a filter into a predicate over records, for many
// goroutines. A message matches when any packet inside does.
func dropFilter(text string) (func(decode.Event) bool, error) {
	flt, err := filter.Compile(text)
	if err != nil {
		return nil, err
	}
	for _, f := range flt.Fields() {
		if why := unknownInRelay(f); why != "" {
			return nil, fmt.Errorf("%s %s", f.Name, why)
		}
	}
	pool := sync.Pool{New: func() any { return &dropper{filter: flt, parser: packet.NewParser()} }}
	return func(ev decode.Event) bool {
		d := pool.Get().(*dropper)
		defer pool.Put(d)
		return d.matches(ev)
	}, nil
}

// unknownInRelay says why a field has no value yet where messages are dropped.
func unknownInRelay(f *field.Field) string {
	switch {
	case f.NeedsFlow:
		return "depends on the packets before this one in its flow, which are not followed in the relay; ask for what stands in the packet itself"
	case f.Name == "tunnel.msg", f.Name == "frame.number", strings.HasPrefix(f.Name, "finding."):
		return "is not known yet when a message comes: the recorder gives it later"
	}
	return ""
}

// dropper asks a filter of one record at a time.
type dropper struct {
	filter  *filter.Filter
	parser  *packet.Parser
	message decode.Message
	facts   packet.Facts
	scratch filter.Scratch
	row     field.Row
}

func (d *dropper) matches(ev decode.Event) bool {
	m := &d.message
	// A message that cannot be decoded still has fields: tunnel.error is one
	// of them.
	damaged := m.Decode(ev) != nil
	d.row = field.Row{Event: &ev, Message: m, Parser: d.parser}
	if !d.filter.AsksPackets() || damaged {
		return d.filter.Match(&d.row, &d.scratch)
	}
	carried := false
	for i := range m.PacketCount() {
		pkt, family := m.Packet(i)
		if len(pkt) == 0 {
			continue
		}
		carried = true
		d.parser.Facts(pkt, &d.facts)
		d.row = field.Row{Event: &ev, Message: m, Parser: d.parser, Packet: &d.facts, Data: pkt, Index: i, Family: family}
		if d.filter.Match(&d.row, &d.scratch) {
			return true
		}
	}
	return !carried && d.filter.Match(&d.row, &d.scratch)
}

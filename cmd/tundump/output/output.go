// Package output prints a session's rows: as text for people, as NDJSON, or
// as the fields that were asked for. Nothing that came over the wire reaches
// the output as it came: what could move a terminal's cursor is escaped.
//
//	p := output.New(os.Stdout, output.Options{})
//	for {
//		row, err := s.Next(ctx)
//		if err != nil {
//			return errors.Join(p.Flush(), err)
//		}
//		if more, err := p.Row(row); err != nil || !more {
//			return err
//		}
//	}
package output

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/field"
	"tundump/decode/filter"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

// Format is how rows are printed.
type Format uint8

const (
	Text   Format = iota
	JSON          // one object a line
	Fields        // the values of Options.Fields, separated
)

// Stamp is what a line begins with, -t in tshark.
type Stamp uint8

const (
	Absolute     Stamp = iota // a: the time of day, local
	AbsoluteDate              // ad: with the date
	Delta                     // d: since the line before
	Relative                  // r: since the first
	Epoch                     // e: seconds since 1970
)

// ParseStamp reads the argument of -t.
func ParseStamp(s string) (Stamp, error) {
	for i, name := range [...]string{"a", "ad", "d", "r", "e"} {
		if s == name {
			return Stamp(i), nil
		}
	}
	return 0, fmt.Errorf("time stamp form %q is none of a, ad, d, r, e", s)
}

// Options say what is printed of each row and how. The zero value prints text:
// a line for each message, and one for each packet under it.
type Options struct {
	Format    Format
	Fields    []*field.Field // Format Fields: what to print; also printed in JSON
	Header    bool           // Format Fields: the names first
	Separator string         // Format Fields; "" is a tab
	Stamp     Stamp
	Location  *time.Location             // nil is local time
	Filter    *filter.Filter             // only the rows that match; nil: all
	Quiet     bool                       // nothing is printed, rows are only counted
	Packets   bool                       // only inner packets
	Messages  bool                       // only messages
	Verbose   bool                       // more in a line, and notes
	Detail    bool                       // the full tree of each row
	Hex       bool                       // the bytes of each row
	DecodeAs  map[packet.Port]packet.App // what certain ports carry, whatever is usual
	Count     int64                      // stop after so many messages that match, or packets where only those are printed; 0: never
}

// Printer prints rows. It is for one goroutine.
type Printer struct {
	w       *bufio.Writer
	opt     Options
	objects map[string]*rowObject // Format JSON: what each kind of row has
	parser  *packet.Parser
	line    []byte
	scratch []byte
	values  []field.Value
	memory  field.Memory

	err         error
	first, last int64
	started     bool
	count       int64
	selected    selection
}

// DecodeAs returns what the options say of ports; whoever reads the packets
// has to know, too.
func (p *Printer) DecodeAs() map[packet.Port]packet.App { return p.opt.DecodeAs }

// Depth returns how far whoever reads the packets has to follow their flows:
// as far as is asked for.
func (p *Printer) Depth() flow.Depth {
	d := flow.Alone
	if p.opt.Filter != nil {
		d = p.opt.Filter.Depth()
	}
	switch {
	case p.opt.Quiet || p.opt.Messages: // no packet is printed
	case p.opt.Format != Fields:
		d = flow.Dialogs
	default:
		for _, f := range p.opt.Fields {
			d = d.And(f.Depth)
		}
	}
	return d
}

// New returns a printer to w. It buffers: see [Printer.Flush].
func New(w io.Writer, opt Options) *Printer {
	if opt.Separator == "" {
		opt.Separator = "\t"
	}
	if opt.Location == nil {
		opt.Location = time.Local
	}
	p := &Printer{w: bufio.NewWriterSize(w, 64<<10), opt: opt, parser: packet.NewParser()}
	p.parser.DecodeAs = opt.DecodeAs
	if opt.Format == JSON {
		p.jsonObjects()
	}
	if opt.Format == Fields && opt.Header && !opt.Quiet {
		names := make([]string, len(opt.Fields))
		for i, f := range opt.Fields {
			names[i] = f.Name
		}
		p.text(strings.Join(names, opt.Separator))
		p.endLine()
	}
	return p
}

// Row prints a row and reports whether more are wanted. The error is that of
// writing.
func (p *Printer) Row(r *session.Row) (more bool, err error) {
	p.selected.take(r, p.opt.Filter)
	switch {
	case p.opt.Quiet:
		p.each(r, func(string, *field.Row) {})
	case p.opt.Format == JSON:
		p.jsonRow(r)
	case p.opt.Format == Fields:
		p.fieldsRow(r)
	default:
		p.row(r)
	}
	more = p.opt.Count == 0 || p.count < p.opt.Count
	if more && !p.opt.Packets && r.Event.Kind.Counts() && p.selected.event {
		more = p.counted(true)
	}
	return more, p.err
}

// counted counts one of what -c counts, and reports whether more are wanted.
func (p *Printer) counted(counts bool) bool {
	if counts {
		p.count++
	}
	return p.opt.Count == 0 || !counts || p.count < p.opt.Count
}

// Flush writes out what is buffered.
func (p *Printer) Flush() error {
	if err := p.w.Flush(); p.err == nil {
		p.err = err
	}
	return p.err
}

// each calls do for the rows that an event makes: the message or what the
// tunnel did, what is wrong with it, its packets and what is wrong with them.
func (p *Printer) each(r *session.Row, do func(kind string, row *field.Row)) {
	if ev := &r.Event; !p.opt.Packets && p.selected.event {
		switch {
		case ev.Kind == decode.Record:
			do("message", r.MessageRow())
		case ev.Kind != decode.Packet && (!p.opt.Messages || ev.Kind.Counts()):
			do("tunnel", r.MessageRow())
		}
		p.eachProblem(r, do)
	}
	if p.opt.Messages {
		return
	}
	for i := range r.Packets {
		if !p.selected.packet(i) {
			continue
		}
		do("packet", r.PacketRow(i))
		if f, ok := r.Finding(i); ok {
			row, problem := r.PacketRow(i), f
			row.Problem = &problem
			do("finding", row)
		}
		if !p.counted(p.opt.Packets) {
			return
		}
	}
}

func (p *Printer) eachProblem(r *session.Row, do func(kind string, row *field.Row)) {
	if r.Message == nil {
		return
	}
	for i := range r.Message.Problems {
		do("finding", problemRow(r, i))
	}
}

// problemRow is the row of finding i of a message.
func problemRow(r *session.Row, i int) *field.Row {
	pr := &r.Message.Problems[i]
	row := r.MessageRow()
	row.Problem = &field.Finding{Severity: pr.Severity.String(), Code: string(pr.Code), Text: pr.String()}
	return row
}

// fieldsRow prints the fields that were asked for, a line a row: of each
// packet where the message has any, else of the message.
func (p *Printer) fieldsRow(r *session.Row) {
	p.each(r, func(kind string, row *field.Row) {
		if kind == "finding" || kind == "message" && len(r.Packets) > 0 && !p.opt.Messages {
			return
		}
		p.memory.Reset()
		row.Memory = &p.memory
		for i, f := range p.opt.Fields {
			if i > 0 {
				p.text(p.opt.Separator)
			}
			p.values = f.Values(p.values[:0], row)
			for j, v := range p.values {
				if j > 0 {
					p.text(",")
				}
				p.line = v.AppendText(p.line, f)
			}
		}
		p.endLine()
	})
}

// stamp begins a line with its time.
func (p *Printer) stamp(ns int64) {
	if !p.started {
		p.first, p.last, p.started = ns, ns, true
	}
	switch p.opt.Stamp {
	case Delta:
		p.line = field.AppendEpoch(p.line, ns-p.last)
	case Relative:
		p.line = field.AppendEpoch(p.line, ns-p.first)
	case Epoch:
		p.line = field.AppendEpoch(p.line, ns)
	case AbsoluteDate:
		p.line = time.Unix(0, ns).In(p.opt.Location).AppendFormat(p.line, "2006-01-02 15:04:05.000000")
	default:
		p.line = time.Unix(0, ns).In(p.opt.Location).AppendFormat(p.line, "15:04:05.000000")
	}
	p.last = ns
	p.line = append(p.line, ' ')
}

func (p *Printer) text(parts ...string) {
	for _, s := range parts {
		p.line = append(p.line, s...)
	}
}

// pad fills up what was written since at to n columns.
func (p *Printer) pad(at, n int) {
	for len(p.line) < at+n {
		p.line = append(p.line, ' ')
	}
}

func (p *Printer) endLine() {
	for len(p.line) > 0 && p.line[len(p.line)-1] == ' ' {
		p.line = p.line[:len(p.line)-1]
	}
	p.line = append(p.line, '\n')
	if _, err := p.w.Write(p.line); err != nil && p.err == nil {
		p.err = err
	}
	p.line = p.line[:0]
}

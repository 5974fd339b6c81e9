package output

import (
	"slices"
	"strings"

	"tundump/capture/session"
	"tundump/decode/field"
)

// rowObject is what the rows of one kind have in JSON.
type rowObject struct {
	begin    string // what all of them begin with
	sections []section
	asked    []jsonColumn // what was asked for besides
}

// section is fields that rows may have together.
type section struct {
	field.Section
	columns []jsonColumn
}

// jsonColumn is a field as it is printed.
type jsonColumn struct {
	field *field.Field
	key   string // with the comma before it and the colon behind it
	list  bool   // an array even with one value
}

func jsonColumns(fields []*field.Field) []jsonColumn {
	list := make([]jsonColumn, len(fields))
	for i, f := range fields {
		list[i] = jsonColumn{f, `,"` + f.Name + `":`, isList(f.Name)}
	}
	return list
}

// jsonObjects makes out what rows of each kind have.
func (p *Printer) jsonObjects() {
	p.objects = make(map[string]*rowObject)
	for _, kind := range [...]string{"tunnel", "message", "packet", "finding"} {
		o := &rowObject{begin: `{"type":"` + kind + `"`}
		for _, s := range field.Sections(func(f *field.Field) bool { return printed(kind, f) && !f.Combines }) {
			o.sections = append(o.sections, section{s, jsonColumns(s.Fields)})
		}
		o.asked = jsonColumns(p.askedFor(kind))
		p.objects[kind] = o
	}
}

// askedFor returns the fields that rows of that kind have because they were
// asked for.
func (p *Printer) askedFor(kind string) (list []*field.Field) {
	if p.opt.Hex && kind != "finding" {
		raw := "tunnel.raw"
		if kind == "packet" {
			raw = "frame.raw"
		}
		f, _ := field.Lookup(raw)
		list = append(list, f)
	}
	for _, f := range p.opt.Fields {
		if !printed(kind, f) && !f.Combines && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// jsonRow prints an event's rows as objects, one a line.
func (p *Printer) jsonRow(r *session.Row) {
	p.each(r, func(kind string, row *field.Row) {
		p.memory.Reset()
		row.Memory = &p.memory
		o := p.objects[kind]
		p.line = append(p.line, o.begin...)
		for i := range o.sections {
			if s := &o.sections[i]; s.In(row) {
				p.jsonFields(s.columns, row)
			}
		}
		p.jsonFields(o.asked, row)
		p.line = append(p.line, '}')
		p.endLine()
	})
}

// printed reports whether rows of that kind have f without being asked: a
// packet's row has what the packet is, and of its message only the number; a
// finding's has what it is about.
func printed(kind string, f *field.Field) bool {
	if f.OnRequest {
		return false
	}
	switch kind {
	case "packet":
		return f.Cost >= field.FromPacket || isPlace(f.Name)
	case "finding":
		return strings.HasPrefix(f.Name, "finding.") || isPlace(f.Name) || f.Name == "frame.number"
	}
	return f.Cost < field.FromPacket
}

func isPlace(name string) bool {
	switch name {
	case "frame.time_epoch", "tunnel.stream", "tunnel.msg", "tunnel.dir":
		return true
	}
	return false
}

// isList names the fields that are arrays even with one value.
func isList(name string) bool {
	switch name {
	case "tunnel.protocols", "dns.a", "dns.aaaa", "dns.cname":
		return true
	}
	return false
}

func (p *Printer) jsonFields(list []jsonColumn, row *field.Row) {
	line, values := p.line, p.values
	for i := range list {
		c := &list[i]
		if values = c.field.Values(values[:0], row); len(values) == 0 {
			continue
		}
		line = append(line, c.key...)
		if len(values) == 1 && !c.list {
			line = values[0].AppendJSON(line)
			continue
		}
		for j := range values {
			line = append(line, "[,"[min(j, 1)])
			line = values[j].AppendJSON(line)
		}
		line = append(line, ']')
	}
	p.line, p.values = line, values
}

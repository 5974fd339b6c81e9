package tui

import (
	"cmp"

	"tundump/decode/field"
	"tundump/tui/pane"
)

// column is one column of a list: how it is drawn, and where its text comes
// from.
type column struct {
	name string // in the settings
	pane.Column
	text func(c *cellMaker, r *Row) string // nil for the time, which the list stamps
}

// heading is what a column is called where it must be called something.
func (c *column) heading() string { return cmp.Or(c.Title, c.name) }

// builtin are the columns that a list has by itself, in their usual order; the
// others are fields.
var builtin = [2][]column{
	Messages: {
		{"number", pane.Column{Title: "#", Width: 8, Min: 5, Right: true}, numberCell},
		{"time", pane.Column{Title: "Time", Width: 12, Min: 10, Right: true}, nil},
		{"tunnel", pane.Column{Title: "T", Width: 3, Min: 2, Drop: 2}, tunnelCell},
		{"dir", pane.Column{Title: "", Width: 1}, dirCell},
		{"command", pane.Column{Title: "Command", Width: 18, Min: 11}, commandCell},
		{"identifier", pane.Column{Title: "Identifier", Width: 11, Min: 10, Right: true, Drop: 2}, identifierCell},
		{"length", pane.Column{Title: "Length", Width: 7, Right: true, Drop: 3}, lengthCell},
		{"what", pane.Column{Title: "What", Width: 30, Flex: true}, whatCell},
	},
	Packets: {
		{"number", pane.Column{Title: "No.", Width: 8, Min: 5, Right: true}, numberCell},
		{"time", pane.Column{Title: "Time", Width: 12, Min: 10, Right: true}, nil},
		{"tunnel", pane.Column{Title: "T", Width: 3, Min: 2, Drop: 2}, tunnelCell},
		{"dir", pane.Column{Title: "", Width: 1}, dirCell},
		{"source", pane.Column{Title: "Source", Width: 21, Min: 14, Ends: true, Drop: 1}, sourceCell},
		{"destination", pane.Column{Title: "Destination", Width: 21, Min: 14, Ends: true, Drop: 1}, destinationCell},
		{"protocol", pane.Column{Title: "Protocol", Width: 8, Min: 6}, protocolCell},
		{"length", pane.Column{Title: "Length", Width: 6, Right: true, Drop: 3}, lengthCell},
		{"message", pane.Column{Title: "Message", Width: 8, Right: true, Drop: 4}, messageCell},
		{"info", pane.Column{Title: "Info", Width: 40, Flex: true}, infoCell},
	},
}

// beneath are the columns of packets beneath their message.
var beneath = []column{
	{"number", pane.Column{Title: "No.", Width: 8, Min: 5, Right: true}, numberCell},
	{"conversation", pane.Column{Title: "", Width: 45, Min: 30}, conversationCell},
	{"protocol", pane.Column{Title: "", Width: 8, Min: 6}, protocolCell},
	{"info", pane.Column{Title: "", Width: 30, Flex: true}, infoCell},
}

// columnsOf returns the columns of a list as the settings have them, the usual
// ones if they have none. An unknown name is passed over.
func columnsOf(l List, set []Column) []column {
	if len(set) == 0 {
		return builtin[l]
	}
	var out []column
	for _, s := range set {
		c, ok := findColumn(l, s.Field)
		if !ok {
			continue
		}
		if s.Title != "" {
			c.Title = safe(s.Title)
		}
		if s.Width > 0 {
			c.Width, c.Min = min(s.Width, 200), 0
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return builtin[l]
	}
	return out
}

func findColumn(l List, name string) (column, bool) {
	for _, c := range builtin[l] {
		if c.name == name {
			return c, true
		}
	}
	f, ok := field.Lookup(name)
	if !ok {
		return column{}, false
	}
	c := column{name: name, Column: pane.Column{Title: name, Width: max(12, min(len(name), 24)), Min: 10, Drop: 1}}
	c.Right = f.Type == field.Uint || f.Type == field.Int
	c.text = func(m *cellMaker, r *Row) string { return m.fieldText(f, r) }
	return c, true
}

func paneColumns(cs []column) []pane.Column {
	out := make([]pane.Column, len(cs))
	for i := range cs {
		out[i] = cs[i].Column
	}
	return out
}

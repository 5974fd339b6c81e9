// Package keys holds what keys do: the bindings, the user's changes to them,
// and the help that is made from both.
package keys

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Where is a set of places in which a binding holds.
type Where uint16

const (
	List Where = 1 << iota // the messages and the packets
	Tree
	Hex
	Flows
	Tunnels
	Findings
	Stats
	Replay // what a replay compares
	Stream // a followed stream
	Prompt // a line of input or a menu: letters are text there

	Rows     = List | Tree | Hex
	Tables   = Flows | Tunnels | Findings | Replay
	Views    = Rows | Tables | Stats
	Anywhere = Views | Stream
)

// Binding is one thing that keys can do.
type Binding struct {
	Name  string // of the action, for the configuration file: "filter.value"
	Group string // heading in the help
	Where Where
	Keys  []string // defaults, as bubbletea names keys
	Hint  string   // a word for the bottom line; "" keeps it out of there
	Doc   string   // a line, no full stop
}

// Map is which key does what.
type Map struct {
	bindings []Binding
	index    []map[string]int // by place
}

// NewMap makes a map of the bindings with the user's changes: rebound has,
// by name, the keys that an action has instead of its own. What is wrong is
// returned as text, a line each: a name that is not known, or a key that would
// do two things in one place; the first of the two in the table has it then.
func NewMap(bindings []Binding, rebound map[string][]string) (*Map, []string) {
	m := &Map{bindings: slices.Clone(bindings), index: make([]map[string]int, 10)}
	for i := range m.index {
		m.index[i] = map[string]int{}
	}
	var wrong []string
	names := make([]string, 0, len(rebound))
	for name := range rebound {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		i := slices.IndexFunc(m.bindings, func(b Binding) bool { return b.Name == name })
		if i < 0 {
			wrong = append(wrong, fmt.Sprintf("no action is named %q", name))
			continue
		}
		m.bindings[i].Keys = rebound[name]
	}
	// What the user has bound comes first: it takes keys from defaults, and
	// that is worth a line.
	order := make([]int, len(m.bindings))
	for i := range order {
		order[i] = i
	}
	user := func(i int) int {
		if _, ok := rebound[m.bindings[i].Name]; ok {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(user(a), user(b)) })
	for _, i := range order {
		wrong = m.bind(i, wrong)
	}
	return m, wrong
}

// bind enters the keys of binding i, and takes away those that are another's.
func (m *Map) bind(i int, wrong []string) []string {
	b := &m.bindings[i]
	var kept []string
	for _, key := range b.Keys {
		key = Canonical(key)
		taken := -1
		for p := range m.index {
			if j, ok := m.index[p][key]; ok && b.Where&(1<<p) != 0 && j != i {
				taken = j
			}
		}
		if taken >= 0 {
			wrong = append(wrong, fmt.Sprintf("key %s is bound to both %s and %s: it does %[2]s", Label(key), m.bindings[taken].Name, b.Name))
			continue
		}
		kept = append(kept, key)
		for p := range m.index {
			if b.Where&(1<<p) != 0 {
				m.index[p][key] = i
			}
		}
	}
	b.Keys = kept
	return wrong
}

// Lookup returns which of the bindings key stands for at a place, -1 for none.
func (m *Map) Lookup(at Where, key string) int {
	for p := range m.index {
		if at == 1<<p {
			if i, ok := m.index[p][key]; ok {
				return i
			}
		}
	}
	return -1
}

// Bindings returns the table with the keys as they are now. It must not be
// changed.
func (m *Map) Bindings() []Binding { return m.bindings }

// Key returns the first key of an action as people write it, "" if it has
// none.
func (m *Map) Key(name string) string {
	for i := range m.bindings {
		if m.bindings[i].Name == name && len(m.bindings[i].Keys) > 0 {
			return Label(m.bindings[i].Keys[0])
		}
	}
	return ""
}

// Canonical returns a key's name as bubbletea reports it, from how people
// write it: "space", "C-f", "ctrl-f".
func Canonical(key string) string {
	if key == "space" {
		return " "
	}
	if len(key) > 2 && strings.HasPrefix(key, "C-") {
		return "ctrl+" + strings.ToLower(key[2:])
	}
	for _, mod := range []string{"ctrl", "alt", "shift"} {
		if rest, ok := strings.CutPrefix(key, mod+"-"); ok && rest != "" {
			return mod + "+" + rest
		}
	}
	return key
}

// Label returns a key as people write it.
func Label(key string) string {
	switch key {
	case " ":
		return "space"
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "left":
		return "←"
	case "right":
		return "→"
	}
	return strings.ReplaceAll(key, "ctrl+", "ctrl-")
}

// Labels returns all keys of a binding, a space between two.
func (b *Binding) Labels() string {
	out := make([]string, len(b.Keys))
	for i, k := range b.Keys {
		out[i] = Label(k)
	}
	return strings.Join(out, " ")
}

// Markdown renders the table for the documentation, a heading for each group.
func (m *Map) Markdown() string {
	var out strings.Builder
	group := ""
	for i := range m.bindings {
		b := &m.bindings[i]
		if b.Group != group {
			group = b.Group
			fmt.Fprintf(&out, "\n**%s**\n\n| key | action | what it does |\n|---|---|---|\n", group)
		}
		labels := make([]string, len(b.Keys))
		for j, k := range b.Keys {
			labels[j] = "`" + strings.ReplaceAll(Label(k), "|", `\|`) + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", strings.Join(labels, " "), b.Name, b.Doc)
	}
	return out.String()
}

// Places names the places of w for people.
func (w Where) Places() string {
	if w&Anywhere == Anywhere {
		return "everywhere"
	}
	var out []string
	for _, p := range []struct {
		w    Where
		name string
	}{{List, "list"}, {Tree, "tree"}, {Hex, "bytes"}, {Flows, "flows"}, {Tunnels, "tunnels"}, {Findings, "findings"}, {Stats, "stats"}, {Replay, "replay"}, {Stream, "followed stream"}, {Prompt, "prompt"}} {
		if w&p.w != 0 {
			out = append(out, p.name)
		}
	}
	return strings.Join(out, ", ")
}

package tui

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode/filter"
	"tundump/tui/paint"
	"tundump/tui/pane"
)

// here returns the control, or says that there is none.
func (m *Model) here(what string) Control {
	if m.control == nil {
		m.say(paint.Caution, "%s: %v", what, ErrNotHere)
	}
	return m.control
}

// pickExport asks what to export, then where to.
func (m *Model) pickExport() {
	s := m.scr()
	if m.here("export") == nil {
		return
	}
	p := &picker{title: "Export to a capture file", hint: "packets with their marks and notes"}
	add := func(label, doc string, what func() (exportWhat, error)) {
		p.add(label, "", doc, plainly(func(m *Model) { m.askExport(label, what) }))
	}
	if r := s.rows(); r != nil {
		x, kind := r.list.Index(), r.kind
		note := ""
		if r.sel != nil {
			note = safe(s.text)
		}
		add("what is shown", strings.TrimSpace(fmt.Sprintf("%s %s  %s", thousands(int64(x.High()-x.Low())), kind, note)), func() (exportWhat, error) {
			if e, all := x.(extent); all && s.first[kind] <= e.lo && e.lo == 0 && r.sel == nil {
				return exportWhat{list: kind}, nil
			}
			return exportWhat{list: kind, index: x}, nil
		})
	}
	if flow := s.around().flow; flow != "" {
		add("this flow", flow, func() (exportWhat, error) {
			compiled, err := filter.Compile(flow)
			return exportWhat{list: Packets, only: compiled}, err
		})
	}
	if r := s.rows(); r != nil {
		if marked := s.marked(r.kind); len(marked) > 0 {
			add("what is marked", fmt.Sprintf("%d %s", len(marked), r.kind), func() (exportWhat, error) { return exportWhat{list: r.kind, numbers: marked}, nil })
		}
	}
	add("all packets", "as they are inside the tunnels", func() (exportWhat, error) { return exportWhat{list: Packets}, nil })
	add("the tunnels themselves", "their TCP connections", func() (exportWhat, error) { return exportWhat{list: Messages, outer: true}, nil })
	m.pick(p)
}

// exportWhat says which rows: those of an index, those with numbers, those that
// pass a filter; all if none of them is there.
type exportWhat struct {
	list    List
	outer   bool
	index   pane.Index
	numbers []int64
	only    *filter.Filter
}

// askExport asks for the file and exports to it.
func (m *Model) askExport(label string, what func() (exportWhat, error)) {
	s := m.scr()
	name := strings.TrimSuffix(filepath.Base(s.snap.Name), filepath.Ext(s.snap.Name))
	if name == "" || name == "." {
		name = "tundump"
	}
	m.askPath("export "+label+" to", name+"-export.pcapng", func(m *Model, path string) tea.Cmd {
		w, err := what()
		if err != nil {
			m.fail("export", err)
			return nil
		}
		return m.export(s, w, path)
	})
}

func (m *Model) export(s *screen, w exportWhat, path string) tea.Cmd {
	control, src := m.control, s.src
	notes := s.notes.clone()
	return m.run(s, "export", func(ctx context.Context, progress func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		rows, err := w.positions(ctx, src)
		if err != nil {
			return nil, err
		}
		n, err := control.Export(ctx, src, Export{Path: path, List: w.list, Rows: rows, Outer: w.outer, Notes: notes}, progress)
		return func(m *Model) tea.Cmd {
			m.say(paint.Good, "wrote %s packets to %s", thousands(n), path)
			return nil
		}, err
	})
}

// positions finds the rows that are to be written, nil for all.
func (w *exportWhat) positions(ctx context.Context, src Source) ([]int, error) {
	switch {
	case w.index != nil:
		out := make([]int, 0, w.index.High()-w.index.Low())
		for i := w.index.Low(); i < w.index.High(); i++ {
			out = append(out, w.index.At(i))
		}
		slices.Sort(out) // those that were sorted by a column
		return out, nil
	case w.numbers != nil:
		out := []int{}
		for _, n := range w.numbers {
			pos, err := src.Locate(ctx, w.list, Place{Number: n})
			if err != nil {
				return nil, err
			}
			out = append(out, pos)
		}
		slices.Sort(out)
		return slices.Compact(out), nil
	case w.only != nil:
		return selectAll(ctx, src, w.list, w.only)
	}
	return nil, nil
}

// whole waits until a selection has looked at the rows that there are now.
func whole(ctx context.Context, src Source, sel Selection) error {
	snap := src.Snapshot()
	for {
		if done, all := sel.Progress(); done >= all || sel.Err() != nil {
			return sel.Err()
		}
		next, err := src.Changed(ctx, snap.Version)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // nothing changes any more: it is complete
			return sel.Err()
		}
		snap = next
	}
}

// selectAll returns the rows that pass a filter, of those that there are now.
func selectAll(ctx context.Context, src Source, l List, f *filter.Filter) ([]int, error) {
	sel := src.Select(l, f)
	defer sel.Close()
	if err := whole(ctx, src, sel); err != nil {
		return nil, err
	}
	out := make([]int, sel.Len())
	for i := range out {
		out[i] = sel.At(i)
	}
	return out, nil
}

// askOpen asks for another capture and shows it beside this one.
func (m *Model) askOpen() {
	if m.here("open") == nil {
		return
	}
	m.askPath("open capture", "", func(m *Model, path string) tea.Cmd {
		control := m.control
		return m.run(m.scr(), "open "+filepath.Base(path), func(ctx context.Context, _ func(done, all int64)) (func(m *Model) tea.Cmd, error) {
			src, err := control.Open(ctx, path)
			if err != nil {
				return nil, err
			}
			return func(m *Model) tea.Cmd { return m.beside(src) }, nil
		})
	})
}

// beside shows another source beside those that are open.
func (m *Model) beside(src Source) tea.Cmd {
	s := newScreen(m, src)
	m.screens = append(m.screens, s)
	m.at = len(m.screens) - 1
	m.say(paint.Good, "%s and %s change between captures", m.keys.Key("source.previous"), m.keys.Key("source.next"))
	return tea.Batch(m.waitFor(s), m.readNotes(s))
}

// closeSource closes the capture that is shown.
func (m *Model) closeSource() tea.Cmd {
	if len(m.screens) == 1 {
		m.say(paint.Caution, "this is the only capture that is open: %s quits", m.keys.Key("quit"))
		return nil
	}
	s := m.scr()
	s.close()
	m.screens = slices.Delete(m.screens, m.at, m.at+1)
	m.at = min(m.at, len(m.screens)-1)
	control := m.control
	if control == nil {
		return nil
	}
	return func() tea.Msg { return savedMsg{"closing the capture", control.Close(s.src)} }
}

func (m *Model) wireshark() tea.Cmd {
	control := m.here("Wireshark")
	if control == nil {
		return nil
	}
	s := m.scr()
	pos := -1
	if r := s.rows(); r != nil {
		if at, ok := r.current(); ok && at.list == Packets {
			pos = at.pos
		}
	}
	return m.run(s, "Wireshark", func(ctx context.Context, _ func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		return nil, control.Wireshark(ctx, s.src, pos)
	})
}

// toggleRecording stops recording or goes on.
func (m *Model) toggleRecording() tea.Cmd {
	control := m.here("recording")
	if control == nil {
		return nil
	}
	s := m.scr()
	if !s.snap.Live {
		m.say(paint.Caution, "nothing is being recorded here")
		return nil
	}
	on := s.stopped
	return m.run(s, "recording", func(ctx context.Context, _ func(done, all int64)) (func(m *Model) tea.Cmd, error) {
		err := control.SetRecording(ctx, s.src, on)
		return func(m *Model) tea.Cmd {
			s.stopped = !on
			m.say(paint.Good, "%s", map[bool]string{true: "recording goes on", false: "recording has stopped; the tunnels run on"}[on])
			return nil
		}, err
	})
}

// saveSettings keeps what the user changed for the next time.
func (m *Model) saveSettings() tea.Cmd {
	control := m.control
	if control == nil {
		return nil
	}
	set := m.set
	set.Filters = slices.Clone(set.Filters)
	set.Messages, set.Packets = slices.Clone(set.Messages), slices.Clone(set.Packets)
	ctx := m.ctx
	return func() tea.Msg {
		err := control.SaveSettings(ctx, set)
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return savedMsg{"saving the settings", err}
	}
}

// keep queues the saving of the settings behind an action.
func (m *Model) keep() {
	if cmd := m.saveSettings(); cmd != nil {
		m.queued = append(m.queued, cmd)
	}
}

package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/keys"
)

// action is one entry of the table that keys, help, palette and documentation
// are made from.
type action struct {
	keys.Binding
	do func(m *Model) tea.Cmd
}

func bindings(actions []action) []keys.Binding {
	out := make([]keys.Binding, len(actions))
	for i := range actions {
		out[i] = actions[i].Binding
	}
	return out
}

// act makes an entry. hint is its word in the bottom line, "" for none.
func act(group, name string, where keys.Where, hint, doc string, do func(m *Model) tea.Cmd, key ...string) action {
	return action{keys.Binding{Name: name, Group: group, Where: where, Keys: key, Hint: hint, Doc: doc}, do}
}

// table is all that can be done, in the order of the help.
func table() []action {
	var out []action
	for _, part := range [][]action{viewActions(), moveActions(), findActions(), noteActions(), streamActions(), lookActions(), fileActions(), playActions(), programActions(), promptActions()} {
		out = append(out, part...)
	}
	return out
}

// plainly wraps what needs no command.
func plainly(do func(m *Model)) func(m *Model) tea.Cmd {
	return func(m *Model) tea.Cmd { do(m); return nil }
}

func viewActions() []action {
	const group = "Views and panes"
	var out []action
	docs := [replayView]string{"messages of the tunnels, their packets folded beneath", "packets inside the tunnels", "conversations inside the tunnels",
		"tunnels, and the life of each", "what is wrong or worth knowing", "rates, talkers, protocols"}
	for v := range replayView { // a replay's is among what is done with one
		out = append(out, act(group, "view."+viewID[v], keys.Anywhere, "", docs[v], plainly(func(m *Model) { m.visit(v) }), string(rune('1'+v))))
	}
	return append(out,
		act(group, "pane.next", keys.Rows|keys.Tunnels|keys.Findings|keys.Replay, "pane", "to the next pane", plainly(func(m *Model) { m.nextPane(1) }), "tab"),
		act(group, "pane.previous", keys.Rows|keys.Tunnels|keys.Findings|keys.Replay, "", "to the pane before", plainly(func(m *Model) { m.nextPane(-1) }), "shift+tab"),
		act(group, "pane.zoom", keys.Rows, "", "only this pane, or all", plainly((*Model).toggleZoom), `\`),
		act(group, "layout.next", keys.Rows, "", "another layout of the panes", plainly((*Model).nextLayout), "|"),
		act(group, "layout.grow", keys.Rows, "", "more room for the list", plainly(func(m *Model) { m.resize(5, 0) }), "+"),
		act(group, "layout.shrink", keys.Rows, "", "less room for the list", plainly(func(m *Model) { m.resize(-5, 0) }), "-"),
		act(group, "layout.right", keys.Rows, "", "more room for the tree", plainly(func(m *Model) { m.resize(0, 5) }), ">"),
		act(group, "layout.left", keys.Rows, "", "more room for the bytes", plainly(func(m *Model) { m.resize(0, -5) }), "<"),
		act(group, "layout.equal", keys.Rows, "", "the panes' sizes as they were at first", plainly((*Model).equalise), "ctrl+w"),
		act(group, "bytes.other", keys.Rows, "", "bytes of the packet, or of the message that carries it", plainly((*Model).otherBytes), "x"),
		act(group, "source.next", keys.Anywhere, "", "the next capture that is open", plainly(func(m *Model) { m.nextSource(1) }), "]"),
		act(group, "source.previous", keys.Anywhere, "", "the capture before", plainly(func(m *Model) { m.nextSource(-1) }), "["),
		act(group, "source.close", keys.Anywhere, "", "close this capture, if another is open", (*Model).closeSource, "ctrl+x"),
	)
}

// viewID names the views in the configuration file.
var viewID = [replayView]string{"messages", "packets", "flows", "tunnels", "findings", "stats"}

func moveActions() []action {
	const group = "Moving"
	return []action{
		act(group, "move.up", keys.Anywhere, "", "one line up", plainly(func(m *Model) { m.move(-1) }), "up", "k"),
		act(group, "move.down", keys.Anywhere, "", "one line down", plainly(func(m *Model) { m.move(1) }), "down", "j"),
		act(group, "move.pageup", keys.Anywhere, "", "one screen up", plainly(func(m *Model) { m.page(-1) }), "pgup", "ctrl+b", "ctrl+u"),
		act(group, "move.pagedown", keys.Anywhere, "", "one screen down", plainly(func(m *Model) { m.page(1) }), "pgdown", " ", "ctrl+d"),
		act(group, "move.home", keys.Anywhere, "", "to the first line", plainly((*Model).home), "home", "g"),
		act(group, "move.end", keys.Anywhere, "", "to the last line; in a live capture, stay there", plainly((*Model).end), "end", "G"),
		act(group, "move.left", keys.Rows|keys.Stats, "", "fold; to the parent; to the byte before; the info column back", plainly(func(m *Model) { m.side(-1) }), "left", "h"),
		act(group, "move.right", keys.Rows|keys.Stats, "", "unfold; to the next byte; the info column on", plainly(func(m *Model) { m.side(1) }), "right", "l"),
		act(group, "open", keys.Rows|keys.Tables, "open", "unfold a message or a line of the tree; from a packet to its tree; from a flow, tunnel, finding or an answer of a replay to its rows", (*Model).open, "enter", "ctrl+j"),
		act(group, "unfold.all", keys.Rows, "", "unfold all that is on the screen, in the tree everything", plainly(func(m *Model) { m.foldAll(true) }), "*"),
		act(group, "fold.all", keys.Rows, "", "fold everything", plainly(func(m *Model) { m.foldAll(false) }), "_"),
		act(group, "go", keys.Rows, "", "go to a number, or to a time", plainly((*Model).askPlace), "ctrl+g", "#"),
		act(group, "go.carrier", keys.Rows, "", "from a packet to its message, from a message to its first packet", plainly((*Model).goCarrier), "M"),
		act(group, "flow.next", keys.Rows, "", "next packet of the same flow, or message of the same connection", func(m *Model) tea.Cmd { return m.goFlow(1) }, "}"),
		act(group, "flow.previous", keys.Rows, "", "the one before", func(m *Model) tea.Cmd { return m.goFlow(-1) }, "{"),
	}
}

func findActions() []action {
	const group = "Filter and search"
	return []action{
		act(group, "filter", keys.Rows|keys.Tables, "filter", "display filter; for flows one of addresses, ports, streams and tunnel, or a part of the text; for the other tables a part of the text", plainly((*Model).askFilter), "/"),
		act(group, "filter.value", keys.Rows, "filter by this", "only rows with the value at the cursor", func(m *Model) tea.Cmd { return m.filterValue("%[2]s") }, "="),
		act(group, "filter.and", keys.Rows, "", "of these, only rows with the value at the cursor", func(m *Model) tea.Cmd { return m.filterValue("%[1]s && %[2]s") }, "&"),
		act(group, "filter.not", keys.Rows, "", "of these, only rows without the value at the cursor", func(m *Model) tea.Cmd { return m.filterValue("%[1]s && !(%[2]s)") }, "!"),
		act(group, "filter.flow", keys.Rows|keys.Flows, "", "only this flow", (*Model).filterFlow, "F"),
		act(group, "filter.connection", keys.Rows, "", "only this connection of the tunnel", (*Model).filterConnection, "C"),
		act(group, "filter.tunnel", keys.Rows|keys.Flows|keys.Tunnels, "", "only this tunnel", (*Model).filterTunnel, "T"),
		act(group, "filter.clear", keys.Views, "", "show all rows again", (*Model).clearFilter, "backspace"),
		act(group, "search", keys.Anywhere, "search", "search for text, bytes or a regular expression", plainly((*Model).askSearch), "ctrl+f"),
		act(group, "stats.search", keys.Stats, "", "search: here are no rows to filter", plainly((*Model).askSearch), "/"),
		act(group, "search.next", keys.Anywhere, "", "next match", func(m *Model) tea.Cmd { return m.findNext(1) }, "n"),
		act(group, "search.previous", keys.Anywhere, "", "match before", func(m *Model) tea.Cmd { return m.findNext(-1) }, "N"),
	}
}

func noteActions() []action {
	const group = "Marks and notes"
	return []action{
		act(group, "mark", keys.Rows, "mark", "mark the row, or take its mark away", (*Model).toggleMark, "m"),
		act(group, "mark.next", keys.Rows|keys.Replay, "", "next mark or note; in a replay, the next difference", plainly(func(m *Model) { m.goMark(1) }), "'"),
		act(group, "mark.previous", keys.Rows|keys.Replay, "", "the one before", plainly(func(m *Model) { m.goMark(-1) }), `"`),
		act(group, "mark.clear", keys.Rows, "", "take all marks away; notes stay", (*Model).clearMarks, "U"),
		act(group, "note", keys.Rows, "", "write a note on the row", plainly((*Model).askNote), ";"),
		act(group, "time.reference", keys.Rows, "", "count times from this row, or from the first again", plainly((*Model).timeReference), "ctrl+t"),
	}
}

func streamActions() []action {
	const group = "Streams"
	return []action{
		act(group, "follow", keys.Rows|keys.Flows|keys.Tunnels, "follow", "read the flow, connection or tunnel as a stream", (*Model).followStream, "f"),
		act(group, "stream.form", keys.Stream, "form", "text, hexadecimal or raw", plainly((*Model).streamForm), "x", "v"),
		act(group, "stream.side", keys.Stream, "side", "both sides, or one of them", plainly((*Model).streamSide), "tab"),
		act(group, "stream.save", keys.Stream, "save", "write the stream to a file as it is shown", plainly((*Model).askSaveStream), "w"),
		act(group, "stream.search", keys.Stream, "search", "search in the stream", plainly((*Model).askSearch), "/"),
	}
}

func lookActions() []action {
	const group = "What is shown"
	return []action{
		act(group, "live.tail", keys.Anywhere, "", "stay at the end while rows come, or not", plainly((*Model).toggleTail), "L"),
		act(group, "live.pause", keys.Anywhere, "", "let the screen stand still; recording goes on", plainly((*Model).togglePause), "p"),
		act(group, "live.clear", keys.Rows, "", "hide the rows so far; again: show them", plainly((*Model).clearRows), "z"),
		act(group, "time.form", keys.Rows, "", "another form of time stamps", plainly((*Model).nextTime), "t"),
		act(group, "columns", keys.Rows, "", "choose, order and size columns, add a field as one", plainly((*Model).pickColumns), "c"),
		act(group, "sort", keys.Rows|keys.Flows, "", "sort by a column", (*Model).pickSort, "s"),
		act(group, "sort.reverse", keys.Rows|keys.Flows, "", "sort the other way round", (*Model).reverseSort, "S"),
		act(group, "colours", keys.Rows, "", "rows in colour, or not", plainly((*Model).toggleColours), "O"),
		act(group, "theme", keys.Anywhere, "", "dark, light or high contrast", plainly((*Model).nextTheme), "B"),
	}
}

func fileActions() []action {
	const group = "Copy, files, recording"
	return []action{
		act(group, "copy", keys.Rows|keys.Tables, "copy", "copy the row, the value or the bytes in one of many forms", plainly((*Model).pickCopy), "y"),
		act(group, "export", keys.Rows|keys.Flows, "export", "write what is shown, or what is marked, to a capture file", plainly((*Model).pickExport), "w"),
		act(group, "file.open", keys.Anywhere, "", "open another capture beside this one", plainly((*Model).askOpen), "o"),
		act(group, "file.wireshark", keys.Anywhere, "", "open the capture in Wireshark", (*Model).wireshark, "W"),
		act(group, "record", keys.Anywhere, "", "stop recording, or go on; the tunnels run on", (*Model).toggleRecording, "ctrl+e"),
	}
}

func programActions() []action {
	const group = "Program"
	return []action{
		act(group, "palette", keys.Anywhere, "commands", "everything that can be done, by name", plainly((*Model).openPalette), ":"),
		act(group, "help", keys.Anywhere, "help", "the keys of this place; type to search", plainly((*Model).openHelp), "?", "f1"),
		act(group, "back", keys.Anywhere, "", "cancel what runs; else back: from the panes to the list, from a filter, an order or hidden rows to all rows", (*Model).back, "esc"),
		act(group, "redraw", keys.Anywhere, "", "draw the screen anew", func(*Model) tea.Cmd { return tea.ClearScreen }, "ctrl+l"),
		act(group, "suspend", keys.Anywhere, "", "to the shell; fg comes back", func(*Model) tea.Cmd { return tea.Suspend }, "ctrl+z"),
		act(group, "quit", keys.Anywhere, "quit", "leave the stream; else end the program", (*Model).askQuit, "q"),
		act(group, "quit.now", keys.Anywhere, "", "end the program", plainly(func(m *Model) { m.quit = true }), "Q"),
	}
}

func promptActions() []action {
	const group = "In a prompt or menu"
	nothing := plainly(func(*Model) {}) // promptKey and pickerKey know them by name
	return []action{
		act(group, "prompt.accept", keys.Prompt, "accept", "take what is written or chosen", nothing, "enter", "ctrl+j"),
		act(group, "prompt.cancel", keys.Prompt, "cancel", "leave it", nothing, "esc"),
		act(group, "prompt.complete", keys.Prompt, "complete", "take the completion at the cursor; in a search: where to look", nothing, "tab"),
		act(group, "prompt.other", keys.Prompt, "", "in a search: what to look for, text, bytes or a regular expression", nothing, "shift+tab"),
		act(group, "prompt.up", keys.Prompt, "", "completion above; else what was typed earlier", nothing, "up", "ctrl+p"),
		act(group, "prompt.down", keys.Prompt, "", "completion below; else what was typed later", nothing, "down", "ctrl+n"),
	}
}

package tui

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"tundump/decode"
)

func TestFilter(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 /")
	d.text("dns.qry.nam")
	d.wants("dns.qry.name", "name asked for")
	d.keys("tab")
	d.wants("/ dns.qry.name")
	d.text(` == "example.org"`)
	d.keys("enter")
	d.wants("2 of 50", "Standard query response")
	d.lacks("ICMP")
	if c := d.m.control.(*fakeControl); len(c.settings.Filters) != 1 {
		t.Errorf("the history that is kept: %q", c.settings.Filters)
	}
	// The other list has the filter too: a message passes by any of its packets.
	d.keys("1")
	d.wants("2 of 51")
	d.keys("esc")
	d.wants("51 messages", "no filter")
	// The history.
	d.keys("2 / up")
	d.wants(`/ dns.qry.name == "example.org"`)
	d.keys("esc")
}

func TestFilterWrong(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 /")
	d.text("tcp.prot == 80")
	d.keys("enter")
	d.wants("tcp.port", "50 packets") // the nearest field is named, nothing is applied
	if d.m.prompt == nil || d.m.prompt.judged.col < 0 {
		t.Error("the place of the mistake is not known")
	}
	d.keys("esc")
	d.lacks("tcp.prot ==")
}

func TestFilterByValue(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 = enter") // the first choice is the flow
	d.wants("udp.stream == 0", "2 of 50")
	d.keys("esc down F")
	d.wants("tcp.stream == 0", "6 of 50")
	d.keys("T")
	d.wants("tunnel.stream == 1", "50 of 50")
	d.keys("esc home tab")
	for range 12 { // down to the addresses in the tree
		if n := d.m.scr().rows().tree.Node(); n != nil && n.Key == "ip" {
			break
		}
		d.keys("down")
	}
	d.keys("right")
	for range 20 {
		if n := d.m.scr().rows().tree.Node(); n.Key == "ip.src" {
			break
		}
		d.keys("down")
	}
	d.keys("=")
	d.wants("ip.src == 10.8.0.2")
	d.keys("!")
	d.wants("ip.src == 10.8.0.2 && !(ip.src == 10.8.0.2)", "0 of 50")
}

func TestLive(t *testing.T) {
	f := small(t, true)
	d := drive(t, 80, 24, Options{}, f)
	d.keys("2")
	d.wants("follow on", "No.")
	at := func() int { p, _ := d.m.scr().rows().list.Position(); return p }
	if at() != 49 {
		t.Fatalf("the cursor is at %d, not at the tail", at())
	}
	more := func() { f.change(func() { f.add(bareEvent(f, 1)) }) }
	more()
	d.settle()
	if at() != 50 {
		t.Fatalf("the tail went on, the cursor is at %d", at())
	}
	d.keys("up")
	d.wants("follow off")
	more()
	d.settle()
	if at() != 49 {
		t.Fatalf("the cursor moved to %d by itself", at())
	}
	d.keys("end")
	d.wants("follow on")
	d.keys("p")
	more()
	d.settle()
	d.wants("paused")
	if at() != 51 {
		t.Fatalf("paused, and the cursor went to %d", at())
	}
	d.keys("p")
	if at() != 52 {
		t.Fatalf("after the pause the cursor is at %d", at())
	}
	d.keys("z")
	d.wants("0 packets")
	more()
	d.settle()
	d.wants("1 packet")
	d.keys("z")
	d.wants("54 packets")
}

// bareEvent is one more ping in a message.
func bareEvent(f *fake, tunnel uint32) decode.Event {
	return decode.Event{Kind: decode.Record, Dir: decode.ClientToServer, Tunnel: tunnel, Time: f.snap.Last + 1e6,
		Raw: packetsRecord(tunID, ip4(1, phone, "1.1.1.1", []byte{8, 0, 0, 0, 0, 7, 0, 1}))}
}

func TestLiveFilterGrows(t *testing.T) {
	f := small(t, true)
	d := drive(t, 80, 24, Options{}, f)
	d.keys("2 /")
	d.text("icmp")
	d.keys("enter")
	d.wants("41 of 50")
	f.change(func() { f.add(bareEvent(f, 1)) })
	d.settle()
	d.wants("42 of 51")
}

// A complete capture changes again when a filter looks through it.
func TestFilterOfFile(t *testing.T) {
	f := small(t, false)
	f.complete, f.slow = true, true
	d := drive(t, 80, 24, Options{}, f)
	for _, text := range []string{"icmp", "dns"} {
		d.keys("2 / ctrl+u")
		d.text(text)
		d.keys("enter")
		d.wants("0 of 50")
		f.change(func() {})
		d.settle()
		d.wants(map[string]string{"icmp": "41 of 50", "dns": "2 of 50"}[text])
	}
}

func TestSearch(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	number := func() int64 { return d.m.scr().rows().list.Current().Number }
	d.keys("2 ctrl+f")
	d.text("response")
	d.keys("enter")
	if number() != 4 {
		t.Errorf("found packet %d", number())
	}
	d.keys("n")
	d.wants("no more")
	d.keys("ctrl+f tab tab") // in the bytes
	d.text("hello world")
	d.keys("enter")
	if number() != 8 {
		t.Errorf("bytes: found packet %d", number())
	}
	d.keys("n")
	if number() != 9 {
		t.Errorf("next: found packet %d", number())
	}
	d.keys("N")
	if number() != 8 {
		t.Errorf("previous: found packet %d", number())
	}
	d.keys("home ctrl+f tab tab") // in the details
	d.text("transaction id")
	d.keys("enter")
	if n := d.m.scr().rows().tree.Node(); n == nil || !strings.Contains(n.Text, "Transaction ID") {
		t.Errorf("the tree is at %+v", n)
	}
	d.keys("home ctrl+f shift+tab") // hexadecimal
	d.text("47 45 54 20")
	d.keys("enter")
	if number() != 7 {
		t.Errorf("hexadecimal: found packet %d", number())
	}
	d.keys("home ctrl+f shift+tab")
	d.text("GET [/]")
	d.keys("enter")
	if number() != 7 {
		t.Errorf("regular expression: found packet %d", number())
	}
	d.keys("ctrl+f")
	d.text("[")
	d.keys("enter")
	d.wants("missing closing ]")
	d.keys("esc")
}

func TestGoMarksNotes(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	c := d.m.control.(*fakeControl)
	number := func() int64 { return d.m.scr().rows().list.Current().Number }
	d.keys("2 ctrl+g")
	d.text("40")
	d.keys("enter")
	if number() != 40 {
		t.Errorf("at packet %d", number())
	}
	d.keys("#")
	d.text("0.0037s")
	d.keys("enter")
	if number() != 4 {
		t.Errorf("by time at packet %d", number())
	}
	d.keys("m down down m home '")
	if number() != 4 {
		t.Errorf("first mark: packet %d", number())
	}
	d.keys("'")
	if number() != 6 {
		t.Errorf("second mark: packet %d", number())
	}
	d.keys(`"`)
	if number() != 4 {
		t.Errorf("mark before: packet %d", number())
	}
	d.keys(";")
	d.text("look at \x1b[31mthis")
	d.keys("enter")
	d.wants("note: look at")
	if n := c.notes.Packets[4]; !n.Marked || !strings.HasPrefix(n.Text, "look at") {
		t.Errorf("what is kept: %+v", c.notes)
	}
	d.keys("U")
	if n := c.notes.Packets[4]; n.Marked || n.Text == "" || len(c.notes.Packets) != 1 {
		t.Errorf("after taking the marks away: %+v", c.notes)
	}
	d.keys("ctrl+t")
	d.wants("0.000000", "-0.001234")
	d.keys("M")
	if v := d.m.scr().view; v != messagesView || number() != 4 {
		t.Errorf("the carrier is message %d in view %d", number(), v)
	}
	d.keys("M")
	if v := d.m.scr().view; v != packetsView || number() != 4 {
		t.Errorf("the first packet is %d in view %d", number(), v)
	}
	d.keys("down down }")
	if number() != 7 {
		t.Errorf("next of the flow: %d", number())
	}
}

func TestCopy(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	c := d.m.control.(*fakeControl)
	for _, x := range []struct{ pick, want string }{
		{"row", "Standard query 0x1a2b A example.org"},
		{"as hex", "450000390000"},
		{"c array", "0x45, 0x00, 0x00, 0x39"},
		{"base64", "RQAAOQ"},
		{"json", `"dns.qry.name":"example.org"`},
	} {
		d.keys("2 y")
		d.text(x.pick)
		d.keys("enter")
		if !strings.Contains(c.copied, x.want) {
			t.Errorf("%s: copied %q, without %q", x.pick, c.copied, x.want)
		}
		d.wants("copied")
	}
}

func TestExportAndFollow(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	c := d.m.control.(*fakeControl)
	d.keys("2 down F w")
	d.text("shown")
	d.keys("enter ctrl+u")
	d.text("out.pcapng")
	d.keys("enter")
	if c.exported.Path != "out.pcapng" || len(c.exported.Rows) != 6 || c.exported.List != Packets {
		t.Errorf("exported %+v", c.exported)
	}
	d.wants("wrote 6 packets")
	c.err = errors.New("out.pcapng: file exists\x1b[2J")
	d.keys("w enter enter")
	d.wants(`file exists\x1b[2J`)
	c.err = nil
	d.keys("f")
	d.wants("GET /index.html", "hello world", "tcp.stream == 0")
	d.keys("tab")
	d.lacks("hello world")
	d.keys("tab tab x")
	d.wants("00000000  47 45 54 20")
	d.keys("w enter")
	if c.saved.Form != AsHex || c.saved.Stream != (Stream{TCPStream, 1, 0}) || c.saved.Side != -1 {
		t.Errorf("saved %+v", c.saved)
	}
	d.keys("q")
	d.wants("No.")
}

func TestColumnsSortTimes(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	c := d.m.control.(*fakeControl)
	d.keys("2 c")
	d.text("ip.ttl")
	d.keys("enter esc")
	d.wants("ip.ttl", " 64 ")
	if len(c.settings.Packets) == 0 {
		t.Error("the columns are not kept")
	}
	d.keys("s")
	d.text("length")
	d.keys("enter")
	d.wants("sorted by Length")
	if n := d.m.scr().rows().list.Index().At(0); n != 9 {
		t.Errorf("the shortest packet is at %d", n)
	}
	d.keys("S home")
	if n := d.m.scr().rows().list.Index().At(0); n != 7 {
		t.Errorf("the longest packet is at %d", n)
	}
	d.keys("s enter")
	d.lacks("sorted by")
	d.keys("3 s")
	d.text("server")
	d.keys("enter")
	d.wants("Server↑")
	d.keys("S")
	d.wants("Server↓")
	d.keys("2")
	d.keys("t")
	d.wants("22:13:20.0")
	d.keys("t t t")
	d.wants("1700000000.0")
}

func TestHelpPaletteKeys(t *testing.T) {
	d := drive(t, 140, 45, Options{Settings: Settings{Keys: map[string][]string{"follow": {"ctrl-y"}, "mark": {"f", "y"}, "nothing": {"x"}}}}, small(t, false))
	d.wants("configuration:", `no action is named "nothing"`, "key y is bound to both mark and copy")
	d.keys("?")
	d.text("theme")
	d.wants("dark, light or high contrast")
	d.lacks("packets inside the tunnels")
	d.keys("esc esc :")
	d.text("view.pack")
	d.keys("enter")
	d.wants("No.")
	d.keys("f")
	if len(d.m.scr().notes.Packets) != 1 {
		t.Error("f does not mark, as the settings have it")
	}
	if md := Markdown(); !strings.Contains(md, "| `/` | filter |") || strings.Count(md, "\n") < len(table()) {
		t.Errorf("the documentation:\n%s", md)
	}
}

// Every default key does one thing in one place, and every action has one.
func TestTable(t *testing.T) {
	m := New(Options{Sources: []Source{small(t, false)}})
	defer m.cancel()
	if m.notice.text != "" {
		t.Error(m.notice.text)
	}
	names := map[string]bool{}
	for _, b := range m.keys.Bindings() {
		if len(b.Keys) == 0 || b.Doc == "" || names[b.Name] {
			t.Errorf("%q: keys %q, %q", b.Name, b.Keys, b.Doc)
		}
		names[b.Name] = true
	}
}

func TestSources(t *testing.T) {
	other := newFake("other.pcapng", false)
	traffic(other)
	c := &fakeControl{opened: other}
	d := drive(t, 140, 45, Options{Control: c}, small(t, false))
	d.fakes = append(d.fakes, other)
	d.keys("o")
	d.text("other.pcapng")
	d.keys("enter")
	d.wants("[2/2] other.pcapng")
	d.keys("[")
	d.wants("[1/2] session.pcapng")
	d.keys("] ctrl+x")
	d.lacks("[1/2]")
	if c.closed != 1 || len(d.m.screens) != 1 {
		t.Errorf("closed %d, %d are open", c.closed, len(d.m.screens))
	}
	c.opened, c.err = nil, errors.New("no capture")
	d.keys("o")
	d.text("x")
	d.keys("enter")
	d.wants("open x: no capture")
}

func TestMouse(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	click := func(x, y int) {
		d.send(tea.MouseMsg{X: x, Y: y, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
	}
	click(15, 1)
	d.wants("No.")
	click(30, 8)
	if n := d.m.scr().rows().list.Current().Number; n != 5 {
		t.Errorf("clicked packet %d", n)
	}
	click(10, 30)
	if d.m.scr().rows().focus != treePane {
		t.Error("a click in the tree does not go there")
	}
	click(90, 26) // a byte selects its node
	r := d.m.scr().rows()
	if buf, off := r.hex.Cursor(); r.focus != hexPane || off == 0 || !r.tree.Node().Span.Holds(buf, off) {
		t.Errorf("byte %d has the node %+v", off, r.tree.Node())
	}
	d.send(tea.MouseMsg{X: 10, Y: 6, Button: tea.MouseButtonWheelDown, Action: tea.MouseActionPress})
	d.check()
	d.keys("1")
	click(20, 6)
	click(20, 6)
	d.wants("▾")
	click(25, 1)
	d.wants("Client")
	click(15, 3)
	d.wants("Client↑")
}

// The tree and the bytes are linked, for the message too.
func TestLinked(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("tab")
	r := d.m.scr().rows()
	for range 40 {
		d.keys("down")
		n := r.tree.Node()
		if n.Span.Len == 0 {
			continue
		}
		buf, off := r.hex.Cursor()
		if !n.Span.Holds(buf, off) {
			t.Errorf("at %q the byte is %d of %d", n.Text, off, buf)
		}
	}
	d.keys("tab home")
	for range 60 {
		d.keys("right")
		buf, off := r.hex.Cursor()
		if n := r.tree.Node(); !n.Span.Holds(buf, off) {
			t.Errorf("byte %d selects %q", off, n.Text)
		}
	}
}

func TestQuit(t *testing.T) {
	d := drive(t, 80, 24, Options{}, small(t, false))
	d.m.Update(keyMsg("q"))
	if !d.m.quit {
		t.Error("q does not quit")
	}
	f := small(t, true)
	f.snap.Path = ""
	d = drive(t, 80, 24, Options{}, f)
	d.keys("q")
	d.wants("kept in no file")
	if d.m.quit {
		t.Error("q threw a capture away")
	}
	d.m.Update(keyMsg("q"))
	if !d.m.quit {
		t.Error("the second q does not quit")
	}
}

func TestRecording(t *testing.T) {
	c := &fakeControl{}
	d := drive(t, 80, 24, Options{Control: c}, small(t, true))
	d.keys("ctrl+e")
	d.wants("not recording", "the tunnels run on")
	d.keys("ctrl+e")
	d.lacks("not recording")
	if !slices.Equal(c.recording, []bool{false, true}) {
		t.Errorf("asked for %v", c.recording)
	}
	c.err = errors.New("the disk is full")
	d.keys("ctrl+e")
	d.wants("the disk is full")
	d.lacks("not recording")
}

func TestSmallAndFailing(t *testing.T) {
	f := small(t, false)
	d := drive(t, 60, 20, Options{}, f)
	d.wants("needs 80×24")
	d.send(tea.WindowSizeMsg{Width: 1, Height: 1})
	d.check()
	f.mu.Lock()
	f.fail = errors.New("the file has vanished\x07")
	f.mu.Unlock()
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	d.keys("2")
	d.wants(`the file has vanished\x07`)
	d.keys("down G enter home / ")
	d.text("tcp")
	d.keys("enter n 3 4 5 6 1")
	d.check()
}

func TestEmpty(t *testing.T) {
	f := newFake(filepath.Join("empty", "\x1b]0;title\x07.pcapng"), false)
	d := drive(t, 80, 24, Options{}, f)
	for _, a := range d.m.actions {
		if strings.HasPrefix(a.Name, "quit") || a.Name == "suspend" || a.Name == "redraw" {
			continue
		}
		for v := range views {
			d.m.show(v)
			for range 2 {
				if a.Where&d.m.place() == 0 {
					break
				}
				d.start(a.do(d.m))
				d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
				d.check()
			}
			d.m.prompt, d.m.picker = nil, nil
		}
	}
}

// What was asked for last stands, though what was asked for before it ends
// later; and a list that was sorted stays so when a filter is applied.
func TestFilterAfterSort(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2")
	r := d.m.scr().rows()
	sorting := d.m.reverseSort()
	d.update(d.m.applyFilter("udp")())
	shown := r.list.Index().High()
	d.update(sorting())
	if r.order != nil || r.list.Index().High() != shown || shown == r.extent().Len() {
		t.Errorf("a sorting of %d rows came after the filter: %d rows are shown, %d passed it", r.extent().Len(), r.list.Index().High(), shown)
	}
	d.settle()
	if r.order == nil || len(r.order.positions) != shown || !r.order.down || !slices.IsSortedFunc(r.order.positions, func(a, b int32) int { return int(b - a) }) {
		t.Errorf("the %d rows are not sorted as before: %+v", shown, r.order)
	}
	d.wants("sorted by No.")
}

func TestMoreAndLessRoom(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2")
	before := d.screen()
	d.keys("+")
	if d.screen() == before {
		t.Error("the list does not grow")
	}
	tree := d.m.set.Layout.Tree
	d.keys("-")
	if d.screen() != before || tree != 0 {
		t.Errorf("less after more is another screen:\n%s\n%s", d.screen(), before)
	}
}

func TestMenuWithoutMatch(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 =")
	d.text("no such thing")
	d.wants("nothing matches “no such thing”")
	d.keys("enter")
	d.wants("nothing matches “no such thing”", "Only rows with")
	d.keys("esc")
	d.lacks("Only rows with")
}

// The filter that is set is replaced by what is typed, and edited with arrows.
func TestFilterPromptReplaces(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 /")
	d.text("tcp")
	d.keys("enter /")
	d.wants("typing replaces it")
	d.text("udp")
	d.keys("enter")
	if got := d.m.scr().text; got != "udp" {
		t.Errorf("the filter is %q", got)
	}
	d.keys("/ left right")
	d.lacks("typing replaces it")
	d.text(" && ip")
	d.keys("enter")
	if got := d.m.scr().text; got != "udp && ip" {
		t.Errorf("the filter is %q", got)
	}
	d.keys("/ backspace enter")
	if got := d.m.scr().text; got != "" {
		t.Errorf("the filter is %q", got)
	}
}

// A key that can do nothing says why.
func TestNothingToDo(t *testing.T) {
	d := drive(t, 140, 45, Options{}, small(t, false))
	d.keys("2 *")
	d.wants("packets do not unfold")
	d.keys("6")
	d.lacks("enter open", "y copy", "/ filter")
}

// Between a client and a server that were seen on a network stands no proxy.
func TestTunnelWithoutProxy(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.1:8890")
	n := Tunnel{Number: 1, Client: netip.MustParseAddrPort("192.0.2.7:5000"), Listener: peer, Upstream: peer.String(),
		Steps:         []Step{{Kind: Signal, From: AtClient, To: AtProxy, Text: "connect"}, {Kind: Trouble, From: AtProxy, To: AtProxy, Text: "bytes missing"}},
		Configuration: []string{"everything goes through the tunnel", "IPv6 stays outside the tunnel"}}
	drawn := func() string {
		var b strings.Builder
		for _, line := range n.ladder(0, 80) {
			for _, p := range line {
				b.WriteString(p.Text)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	for _, want := range []string{"   • everything goes through the tunnel\n   • IPv6 stays", "│── connect ───────────────────────────────────────▶│", "│                         ● bytes missing           │"} {
		if !strings.Contains(drawn(), want) {
			t.Errorf("no %q in\n%s", want, drawn())
		}
	}
	if strings.Contains(drawn(), "proxy") || strings.Count(drawn(), peer.String()) != 1 {
		t.Errorf("a proxy that is not there:\n%s", drawn())
	}
	n.Upstream = "vpn.example:8890"
	if !strings.Contains(drawn(), "proxy") {
		t.Errorf("the proxy is not drawn:\n%s", drawn())
	}
}

// Sorting waits for the rows that a filter has yet to find.
func TestSortAfterFilter(t *testing.T) {
	f := small(t, false)
	f.slow = true
	d := drive(t, 140, 45, Options{}, f)
	d.keys("2")
	d.m.applyFilter("udp")
	r := d.m.scr().rows()
	d.start(d.m.reverseSort())
	d.settle()
	f.change(func() {})
	d.settle()
	if n := r.list.Index().High(); r.order == nil || n != 2 {
		t.Errorf("%d rows are sorted: %+v", n, r.order)
	}
}

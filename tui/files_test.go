package tui

import (
	"errors"
	"strings"
	"testing"
)

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

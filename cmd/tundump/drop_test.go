package main

import (
	"strings"
	"testing"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// carrying is a record that carries packets.
func carrying(t *testing.T, packets ...[]byte) decode.Event {
	t.Helper()
	var w bplist.Writer
	raw, err := w.Append(frame.Reserve(nil), w.Dict(w.String("identifier"), w.Int(7), w.String("command"), w.Int(8), w.String("packets"), w.DataArray(packets)))
	if err != nil {
		t.Fatal(err)
	}
	if err := frame.PutLength(raw, 0); err != nil {
		t.Fatal(err)
	}
	return decode.Event{Kind: decode.Record, Tunnel: 1, Raw: raw}
}

// A message is dropped when any packet inside matches, and a packet matches
// alone: not one condition here and the other there.
func TestDropFilter(t *testing.T) {
	echo := []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 8, 0, 2, 1, 1, 1, 1, 8, 0, 0xf7, 0xfc, 0, 1, 0, 2}
	udp := []byte{0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0, 10, 8, 0, 3, 1, 1, 1, 1, 0xef, 0x10, 0, 53, 0, 9, 0, 0, 'x'}
	both := carrying(t, echo, udp)
	none := carrying(t)
	for text, want := range map[string][2]bool{
		`icmp`:                           {true, false},
		`udp.dstport == 53`:              {true, false},
		`icmp && udp`:                    {false, false},
		`!icmp`:                          {true, true},
		`tcp`:                            {false, false},
		`ip.src == 10.8.0.3 && udp`:      {true, false},
		`ip.src == 10.8.0.2 && udp`:      {false, false},
		`tunnel.identifier == 7 && icmp`: {true, false},
		`tunnel.command == 8`:            {true, true},
		`udp.payload contains "x"`:       {true, false},
		`tunnel.packets.count == 2`:      {true, false},
		`_ws.col.info contains "echo" || ip.ttl < 64`: {false, false},
		`_ws.col.info matches "echo"`:                 {true, false},
	} {
		match, err := dropFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := [2]bool{match(both), match(none)}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`tcp.seq == 1`:         "tcp.seq depends on the packets before this one",
		`icmp || tcp.analysis`: "depends on the packets before this one",
		`frame.number == 1`:    "frame.number is not known yet",
		`tunnel.msg == 1`:      "tunnel.msg is not known yet",
		`finding`:              "finding.code is not known yet",
		`ip.scr == 10.0.0.1`:   "there is ip.src",
	} {
		if _, err := dropFilter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

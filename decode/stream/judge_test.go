package stream_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/capture/pcapng"
	"tundump/decode"
	"tundump/decode/stream"
)

// generate runs the independent generator.
func generate(tb testing.TB, args ...string) {
	tb.Helper()
	out, err := judge.Python(tb.Context(), tb, "stgen.py", args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("stgen %v: %v\n%s", args, err, out)
	}
}

// indexed is a message of a session, as the generator lists it.
type indexed struct {
	I   int    `json:"i"`
	Dir string `json:"dir"`
	Off int64  `json:"off"`
	Len int64  `json:"len"`
	raw []byte
}

func session(tb testing.TB, dir string) []indexed {
	tb.Helper()
	f, err := os.Open(filepath.Join(dir, "index.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	bin := map[string][]byte{}
	for _, d := range []string{"c2s", "s2c"} {
		if bin[d], err = os.ReadFile(filepath.Join(dir, d+".bin")); err != nil {
			tb.Fatal(err)
		}
	}
	var all []indexed
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var m indexed
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			tb.Fatal(err)
		}
		m.raw = bin[m.Dir][m.Off : m.Off+m.Len]
		all = append(all, m)
	}
	return all
}

// truth is what can be recovered of one direction of an outer capture.
type truth struct {
	Bytes   int64      `json:"bytes"`
	Missing [][2]int64 `json:"missing"`
	Damaged []int      `json:"messages_damaged"`
	Whole   int        `json:"messages_whole"`
}

// packetsOf calls use for each packet of a capture file.
func packetsOf(tb testing.TB, path string, use func(*stream.Packet)) {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r := pcapng.NewReader(f)
	var b pcapng.Block
	var p pcapng.Packet
	for {
		switch err := r.Next(&b); err {
		case nil:
		case io.EOF:
			return
		default:
			tb.Logf("%s: %v", filepath.Base(path), err)
			return
		}
		if b.IsPacket() && b.Packet(&p) == nil {
			use(&stream.Packet{LinkType: b.Section().Interfaces[p.Interface].LinkType, Time: p.Time, Data: p.Data})
		}
	}
}

// copied is an event that stays valid.
func copied(ev *decode.Event) decode.Event {
	c := *ev
	c.Raw = bytes.Clone(ev.Raw)
	if ev.Detail != nil {
		d := *ev.Detail
		c.Detail = &d
	}
	return c
}

func find(tb testing.TB, o stream.Options, path string) ([]decode.Event, stream.Stats) {
	tb.Helper()
	var events []decode.Event
	f := stream.New(o, func(ev *decode.Event) { events = append(events, copied(ev)) })
	packetsOf(tb, path, f.Packet)
	f.End()
	return events, f.Stats()
}

// check holds events against what the session was and what the capture has of
// it: every whole message is a record, in order, and nothing else is; offsets
// follow each other and end where the stream does.
func check(t *testing.T, events []decode.Event, sent []indexed, path string, midstream bool) {
	t.Helper()
	b, err := os.ReadFile(path + ".truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var tr struct{ C2S, S2C truth }
	if err := json.Unmarshal(b, &tr); err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for d, tr := range map[decode.Direction]truth{decode.ClientToServer: tr.C2S, decode.ServerToClient: tr.S2C} {
		var want []indexed
		for _, m := range sent {
			if m.Dir == d.String() && !slices.Contains(tr.Damaged, m.I) {
				want = append(want, m)
			}
		}
		at, found, invented := int64(0), 0, 0
		for _, ev := range events {
			if !ev.Kind.Counts() || ev.Dir != d {
				continue
			}
			if ev.Offset != at {
				t.Errorf("%v: an event at %d follows one that ends at %d", d, ev.Offset, at)
			}
			switch at += int64(len(ev.Raw)); ev.Kind {
			case decode.Gap:
				at += ev.Detail.Len
			case decode.Record:
				k := slices.IndexFunc(want, func(m indexed) bool {
					return bytes.Equal(m.raw, ev.Raw) && (midstream || m.Off == ev.Offset)
				})
				if k < 0 {
					invented++
					continue
				}
				found++
				// What was sent before the capture began, and again after it had,
				// comes too late: the stream has begun.
				if k > 0 && !(midstream && found == 1) {
					t.Errorf("%v: %d messages before %d are not found", d, k, want[k].I)
				}
				want = want[k+1:]
			}
		}
		if len(want) > 0 || invented > 0 {
			t.Errorf("%v: of %d whole messages %d found, %d not at the end, %d records are none of them", d, tr.Whole, found, len(want), invented)
		}
		if !midstream && at != tr.Bytes && at < tr.Bytes-lostAtEnd(tr) {
			t.Errorf("%v: the stream ends at %d, not at %d", d, at, tr.Bytes)
		}
	}
	for _, ev := range events {
		if ev.Time < last {
			t.Errorf("an event at %d follows one at %d", ev.Time, last)
		}
		last = ev.Time
	}
}

// lostAtEnd is how many bytes at a stream's end were not captured.
func lostAtEnd(tr truth) int64 {
	if n := len(tr.Missing); n > 0 && tr.Missing[n-1][1] == tr.Bytes {
		return tr.Missing[n-1][1] - tr.Missing[n-1][0]
	}
	return 0
}

// TestOuterCaptures: a session as a capture of its outer connection, with all
// that networks and captures do to it, gives every message that can be
// recovered and no other.
//
// Bytes that the capture missed and that were sent once more after the
// receiver had acknowledged them could be recovered by waiting long for what
// nearly never comes; no such case is among them.
func TestOuterCaptures(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	dir := t.TempDir()
	app, ip := filepath.Join(dir, "app"), filepath.Join(dir, "ip")
	generate(t, "app", "--synthetic", "9", app)
	generate(t, "ip", judge.Shared(t, "captures", "ntop+nDPI", "telegram.pcap"), ip, "--profile", "genuine", "--limit", "400")
	cases := []string{
		"", "--ipv6", "--linktype vlan", "--linktype sll", "--linktype sll2", "--linktype null", "--linktype raw",
		"--pcapng", "--nanos --ipv6 --linktype vlan", "--random-segments", "--mss 536", "--tso", "--ipfrag 576",
		"--wrap", "--keepalive", "--zero-window", "--bad-cksum-client", "--dup-capture 0.3", "--end rst", "--end none", "--end fin-server",
		"--retrans 0.1", "--loss 0.05", "--reorder 0.1", "--overlap 0.1", "--overlap 0.1 --overlap-conflict",
		"--hide 1", "--hide 5", "--hide 20", "--hide 3 --hide-at 0", "--hide 2 --hide-at 1", "--midstream 0.3", "--midstream 0.7", "--midstream 0.5 --keepalive",
		"--snaplen 1000", "--snaplen 200", "--snaplen 1000 --tso",
		"--retrans 0.05 --loss 0.05 --reorder 0.05 --overlap 0.05 --dup-capture 0.1 --wrap --keepalive --random-segments",
		"--loss 0.05 --reorder 0.05 --midstream 0.4 --ipv6 --linktype sll2 --pcapng",
		"--ipfrag 576 --reorder 0.1 --retrans 0.1 --dup-capture 0.2",
	}
	for _, name := range []string{app, ip} {
		sent := session(t, name)
		for i, flags := range cases {
			if name == ip && i%3 != 0 && !testing.Verbose() {
				continue // the generator takes a second for each
			}
			t.Run(filepath.Base(name)+flags, func(t *testing.T) {
				path := filepath.Join(dir, fmt.Sprintf("%s%d.cap", filepath.Base(name), i))
				generate(t, append([]string{"outer", name, path, "--seed", fmt.Sprint(i + 1)}, strings.Fields(flags)...)...)
				events, stats := find(t, stream.Options{}, path)
				check(t, events, sent, path, strings.Contains(flags, "midstream"))
				if stats.Tunnels != 1 {
					t.Errorf("%d tunnels: %+v", stats.Tunnels, stats)
				}
				if conflict := strings.Contains(flags, "conflict"); conflict != (stats.Conflicts > 0) {
					t.Errorf("%d conflicts", stats.Conflicts)
				}
			})
		}
	}
}

package pcapng

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tundump/decode"
)

var tags = []struct {
	comment string
	tag     Tag
}{
	{"tundump:1 T1 #7 c2s off=4711 len=100 flags=edited,dropped",
		Tag{Kind: decode.Record, Tunnel: 1, Number: 7, Offset: 4711, Len: 100, Flags: decode.Edited | decode.Dropped}},
	{"tundump:1 T1 #7 s2c off=0 len=3 flags=partial,unframed sides=both twin=1 part=2 reason=\"a \\\"b\\\" \\u001b\\udb40\\udc01é\"",
		Tag{Kind: decode.Unframed, Dir: 1, Tunnel: 1, Number: 7, Len: 3, Flags: decode.Partial | bothSides, Sides: true, Twin: true, Part: 2,
			Detail: &decode.Detail{Reason: "a \"b\" \x1b\U000e0001é"}}},
	{"tundump:1 T1 #8 c2s off=5 len=99 flags=gap time=1700000000.000000001",
		Tag{Kind: decode.Gap, Tunnel: 1, Number: 8, Offset: 5, Len: 99, Timed: true, Time: 1_700_000_000_000_000_001}},
	{"tundump:1 T3 #9 c2s off=1 pkt=3 id=-5",
		Tag{Kind: decode.Record, Tunnel: 3, Number: 9, Offset: 1, Inner: true, Packet: 3, Identifier: -5}},
	{"tundump:1 T4294967295 #0 s2c off=0", Tag{Dir: 1, Tunnel: 1<<32 - 1}},
	{"tundump:1 T1 #0 c2s off=0 event=opened client=10.0.0.1:5 listener=[2001:db8::1]:6 upstream=host:7",
		Tag{Kind: decode.Opened, Tunnel: 1, Detail: &decode.Detail{Client: netip.MustParseAddrPort("10.0.0.1:5"),
			Listener: netip.MustParseAddrPort("[2001:db8::1]:6"), Upstream: "host:7"}}},
	{"tcpinfo rtt=1.2ms retrans=0 unacked=3 c2s time=1700000000.123456789",
		Tag{Kind: decode.TCPInfo, Timed: true, Time: 1_700_000_000_123_456_789, Detail: &decode.Detail{RTT: 1_200_000, Unacked: 3}}},
	{"tcpinfo rtt=10.5us retrans=1 unacked=0 s2c time=0.000000001",
		Tag{Kind: decode.TCPInfo, Dir: 1, Timed: true, Time: 1, Detail: &decode.Detail{RTT: 10_500, Retrans: 1}}},
	{"blocked 14ms s2c time=1.000000000",
		Tag{Kind: decode.Blocked, Dir: 1, Timed: true, Time: 1e9, Detail: &decode.Detail{Wait: 14 * time.Millisecond}}},
}

func TestTags(t *testing.T) {
	for _, test := range tags {
		var got Tag
		if !ParseTag([]byte(test.comment), &got) || !reflect.DeepEqual(got, test.tag) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.comment, got, test.tag)
		}
		if test.tag.Inner {
			test.tag.Kind = 0 // the recorder's; the message's own block says that it is a record
		}
		if got := string(test.tag.Append(nil)); got != test.comment {
			t.Errorf("appended:\n%s, want\n%s", got, test.comment)
		}
	}
}

func TestParseTagSkipsWhatItDoesNotKnow(t *testing.T) {
	var got Tag
	ok := ParseTag([]byte(`tundump:1 T2 new #3 c2s x="a T9 b" off=4 flags=rule:2,held,fault:cut =  y= len=5`), &got)
	want := Tag{Kind: decode.Record, Tunnel: 2, Number: 3, Offset: 4, Len: 5, Flags: decode.Held}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for _, c := range []string{"", "lunch", "tundump:2 T1", "tundump:10", "tcpinfos"} {
		if ParseTag([]byte(c), &got) {
			t.Errorf("%q is taken for a tag", c)
		}
	}
}

// A value from the network fits its option however much of it is escaped, and
// nothing in it reaches a terminal.
func TestHostileText(t *testing.T) {
	for _, s := range []string{strings.Repeat("\x1b", 1<<20), strings.Repeat("\xff", 1<<20), strings.Repeat("\U000e0001", 1<<18), "\u202e\u0085\u2028"} {
		tag := Tag{Kind: decode.Refused, Detail: &decode.Detail{Reason: s, Upstream: s}}
		b := tag.Append(nil)
		if len(b) > maxOption || !utf8.Valid(b) || strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' || r > 0xffff || r == '\u202e' || r == '\u0085' || r == '\u2028' }) {
			t.Errorf("%d bytes: %.100s", len(b), b)
		}
	}
}

func TestTagsDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 4096)
	for _, test := range tags {
		if n := testing.AllocsPerRun(100, func() { dst = test.tag.Append(dst[:0]) }); n != 0 {
			t.Errorf("appending allocates %v times: %s", n, test.comment)
		}
		comment := []byte(test.comment)
		var got Tag
		if n := testing.AllocsPerRun(100, func() { ParseTag(comment, &got) }); n != 0 && test.tag.Detail == nil {
			t.Errorf("parsing allocates %v times: %s", n, test.comment)
		}
	}
}

func FuzzTag(f *testing.F) {
	for _, test := range tags {
		f.Add([]byte(test.comment))
	}
	f.Add([]byte(`tundump:1 T1 reason="\`))
	f.Fuzz(func(t *testing.T, comment []byte) {
		var first, second Tag
		if !ParseTag(comment, &first) {
			return
		}
		if first.Inner || first.Kind == decode.Record && first.Number == 0 || first.Kind == decode.Packet {
			return // forms that only hand-made tags have
		}
		b := first.Append(nil)
		if len(b) > maxOption || !ParseTag(b, &second) {
			t.Fatalf("%q became %q", comment, b)
		}
		if c := second.Append(nil); string(b) != string(c) {
			t.Fatalf("%q became %q and then %q", comment, b, c)
		}
	})
}

func BenchmarkTagAppend(b *testing.B) {
	tag := Tag{Kind: decode.Record, Tunnel: 1, Number: 123456, Offset: 4711_000, Len: 1400, Flags: decode.OnClientSide}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = tag.Append(dst[:0])
	}
}

func BenchmarkTagParse(b *testing.B) {
	comment := []byte("tundump:1 T1 #123456 c2s off=4711000 len=1400")
	var tag Tag
	b.ReportAllocs()
	for b.Loop() {
		ParseTag(comment, &tag)
	}
}

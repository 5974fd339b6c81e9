package field

import (
	"encoding/json"
	"net/netip"
	"testing"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		if f.Name == "" || f.Doc == "" || f.Type == 0 || f.get == nil || seen[f.Name] {
			t.Errorf("field %+v is not complete, or stands twice", f)
		}
		seen[f.Name] = true
		if g, ok := Lookup(f.Name); !ok || g.Name != f.Name {
			t.Errorf("Lookup(%q) finds %v", f.Name, g)
		}
	}
	if _, ok := Lookup("ip"); ok || !IsPrefix("ip") || IsPrefix("i") {
		t.Error("ip is the name of a protocol and not of a field")
	}
}

// Each field can be asked of each kind of row.
func TestAnyFieldOfAnyRow(t *testing.T) {
	p := packet.NewParser()
	var f packet.Facts
	p.Facts([]byte{0x45}, &f)
	m := new(decode.Message)
	if err := m.Decode(decode.Event{Raw: []byte{4, 0, 0, 0}}); err == nil {
		t.Fatal("an empty record has a message")
	}
	everything := flow.Analysis{Proto: packet.TCP, Flags: ^flow.Flags(0), InFlight: 1, DupAck: 1, DupAckOf: 1, AckOf: 1, AckRTT: 1, InitialRTT: 1, AnswerTo: 1, Latency: 1}
	for kind := decode.Kind(0); kind <= decode.Blocked; kind++ {
		for _, r := range []Row{
			{Event: &decode.Event{Kind: kind}},
			{Event: &decode.Event{Kind: kind, Detail: &decode.Detail{}}},
			{Event: &decode.Event{Kind: kind}, Message: m, Parser: p},
			{Event: &decode.Event{Kind: kind}, Message: m, Packet: &f, Parser: p, Family: -1},
			{Event: &decode.Event{Kind: kind}, Message: m, Packet: &f, Parser: p, Family: -1, Flow: &everything},
		} {
			for i := range All() {
				fd := &All()[i]
				for _, v := range fd.Values(nil, &r) {
					if v.Type != fd.Type {
						t.Errorf("%s has a value of type %v, not %v", fd.Name, v.Type, fd.Type)
					}
					if b := v.AppendJSON(nil); !json.Valid(b) {
						t.Errorf("%s: %q is no JSON", fd.Name, b)
					}
				}
			}
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{"ip.scr": "ip.src", "tcp.flags.resett": "tcp.flags.reset", "tunnel.comand": "tunnel.command", "zzzzzzzzzz": ""} {
		if got := Nearest(name); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	hex, _ := Lookup("tcp.flags")
	for _, tt := range []struct {
		v          Value
		f          *Field
		text, json string
	}{
		{uintValue(2), hex, "0x0002", "2"},
		{intValue(-7), &Field{}, "-7", "-7"},
		{boolValue(true), &Field{}, "1", "true"},
		{timeValue(1_500_000_000_000_000_001), &Field{}, "1500000000.000000001", "1500000000.000000001"},
		{timeValue(-1), &Field{}, "-0.000000001", "-0.000000001"},
		{bytesValue([]byte{0xab, 1}), &Field{}, "ab01", `"ab01"`},
		{addrValue(netip.MustParseAddr("fd00::1")), &Field{}, "fd00::1", `"fd00::1"`},
		{stringValue("a\"\\\x1b\u202e\U000e0041"), &Field{}, `a"\\\x1b\u202e\U000e0041`, `"a\"\\\u001b\u202e\udb40\udc41"`},
		{stringValue("a\xff"), &Field{}, `a\xff`, `"a\ufffd"`},
		{safeValue(`a\x1b`), &Field{}, `a\x1b`, `"a\\x1b"`},
	} {
		if got := string(tt.v.AppendText(nil, tt.f)); got != tt.text {
			t.Errorf("text %s, want %s", got, tt.text)
		}
		if got := string(tt.v.AppendJSON(nil)); got != tt.json || !json.Valid([]byte(got)) {
			t.Errorf("JSON %s, want %s", got, tt.json)
		}
	}
}

func TestCompare(t *testing.T) {
	big, _ := ParseValue(Int, "18446744073709551615")
	for _, tt := range []struct {
		a, b  Value
		order int
		ok    bool
	}{
		{intValue(-1), uintValue(1), -1, true},
		{uintValue(1<<63 + 1), uintValue(1 << 63), 1, true},
		{intValue(1<<62 + 1), intValue(1 << 62), 1, true},
		{intValue(3), big, -1, true},
		{stringValue("a"), uintValue(1), 0, false},
		{addrValue(netip.MustParseAddr("10.0.0.2")), addrValue(netip.MustParseAddr("10.0.0.10")), -1, true},
	} {
		if order, ok := Compare(tt.a, tt.b); ok != tt.ok || ok && order != tt.order {
			t.Errorf("Compare(%v, %v) = %d, %v", tt.a, tt.b, order, ok)
		}
	}
}

func FuzzJSONString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\x1b\"\\\xff\u2028\U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendJSONString(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		for _, r := range string(b) {
			if packet.UnsafeRune(r) {
				t.Fatalf("%q holds %U", b, r)
			}
		}
		if want, err := json.Marshal(s); err != nil || !sameString(want, back) {
			t.Fatalf("%q became %q", s, back)
		}
	})
}

func sameString(encoded []byte, s string) bool {
	var want string
	return json.Unmarshal(encoded, &want) == nil && want == s
}

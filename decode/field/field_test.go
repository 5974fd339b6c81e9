package field

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tundump/decode"
	"tundump/decode/flow"
	"tundump/decode/packet"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		if f.Name == "" || f.Doc == "" || f.Type == 0 || f.get == nil && f.when == nil || seen[f.Name] {
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
	for name, want := range map[string]string{"ip.scr": "ip.src", "tcp.flags.resett": "tcp.flags.reset", "tunnel.comand": "tunnel.command", "zzzzzzzzzz": "", "dnss": "dns", "IP.SRC": "ip.src", "tunnel.nosuchthingatallhere": "tunnel.stream"} {
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
	big, err := Domain{Type: Int}.Parse("18446744073709551615", Bare)
	if err != nil {
		t.Fatal(err)
	}
	net, err := Domain{Type: Addr}.Parse("10.1.0.0/16", Bare)
	if err != nil {
		t.Fatal(err)
	}
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
		{addrValue(netip.MustParseAddr("10.1.2.3")), net, 0, true},
		{addrValue(netip.MustParseAddr("10.2.2.3")), net, 1, true},
		{addrValue(netip.MustParseAddr("fd00::1")), net, 0, false},
		{bytesValue([]byte{9, 9}), bytesValue([]byte{10}), 1, true},
		{bytesValue([]byte{9}), bytesValue([]byte{10}), -1, true},
		{stringValue("b"), stringValue("aa"), 1, true},
		{timeValue(1), timeValue(2), -1, true},
		{boolValue(true), uintValue(1), 0, true},
		{addrValue(netip.MustParseAddr("10.0.0.2")), addrValue(netip.MustParseAddr("10.0.0.10")), -1, true},
	} {
		if order, ok := Compare(tt.a, tt.b); ok != tt.ok || ok && order != tt.order {
			t.Errorf("Compare(%v, %v) = %d, %v", tt.a, tt.b, order, ok)
		}
	}
}

func TestLiterals(t *testing.T) {
	day := time.Date(2026, 11, 28, 10, 30, 0, 0, time.Local).UnixNano()
	for _, tt := range []struct {
		field, text string
		form        Form
		want        string // as JSON; or what stands in the error
	}{
		{"tcp.port", "443", Bare, "443"},
		{"tcp.port", "0x1BB", Bare, "443"},
		{"tcp.port", "0673", Bare, "443"},
		{"tcp.port", "0b110111011", Bare, "443"},
		{"tcp.port", "A", Char, "65"},
		{"tcp.port", "443", Quoted, `the string "443" is no unsigned integer: 10, 0xa, 012, 0b1010`},
		{"tcp.port", "-1", Bare, "unsigned"},
		{"tcp.port", "1_0", Bare, "unsigned"},
		{"tcp.port", "99999999999999999999", Bare, "unsigned"},
		{"tunnel.identifier", "-7", Bare, "-7"},
		{"tunnel.identifier", "18446744073709551615", Bare, "18446744073709551615"},
		{"tcp.flags.syn", "True", Bare, "true"},
		{"tcp.flags.syn", "2", Bare, "true"},
		{"tcp.flags.syn", "Not set", Quoted, "false"},
		{"tcp.flags.syn", "maybe", Bare, "boolean: 1, 0, True or False"},
		{"tcp.checksum.status", "Good", Bare, "1"},
		{"ip.proto", "UDP", Quoted, "17"},
		{"ip.proto", "UPD", Bare, "or a name such as"},
		{"tunnel.command", "Open", Bare, "6"},
		{"dns.qry.type", "HTTPS", Bare, "65"},
		{"dns.qry.type", "A (Host Address)", Quoted, "1"},
		{"tcp.payload", "16:03-1.0a", Bare, `"1603010a"`},
		{"tcp.payload", "1603", Bare, `"1603"`},
		{"tcp.payload", "0x16", Bare, `"16"`},
		{"tcp.payload", "GE", Quoted, `"4745"`},
		{"tcp.payload", "16:", Bare, "no bytes"},
		{"tcp.payload", "16:zz", Bare, "no bytes"},
		{"ip.src", "10.1.2.3/8", Bare, `"10.0.0.0"`},
		{"ip.src", "10.1.2.3", Quoted, "without quotes"},
		{"ip.src", "fd00::1", Bare, "10.0.0.1 or 10.0.0.0/8: of the other IP version"},
		{"ipv6.src", "fd00::/8", Bare, `"fd00::"`},
		{"ipv6.src", "fe80::1%lo", Bare, "cannot be read"},
		{"ip.src", "10.0.0.0/33", Bare, "cannot be read"},
		{"frame.time_epoch", "1.5", Bare, "1.500000000"},
		{"frame.time_epoch", "-0.000000001", Bare, "-0.000000001"},
		{"frame.time_epoch", "1.0000000001", Bare, "no time"},
		{"frame.time_epoch", "99999999999", Bare, "no time"},
		{"frame.time_epoch", "2026-11-28 10:30:00", Quoted, string(AppendEpoch(nil, day))},
		{"frame.time_epoch", "Nov 28, 2026 10:30:00.5", Quoted, string(AppendEpoch(nil, day+500_000_000))},
		{"frame.time_epoch", "2026-11-28T10:30:00Z", Bare, "1795861800.000000000"},
		{"tunnel.host", "a.example", Bare, `"a.example"`},
	} {
		f, ok := Lookup(tt.field)
		if !ok {
			t.Fatal(tt.field)
		}
		v, err := f.Domain().Parse(tt.text, tt.form)
		got := string(v.AppendJSON(nil))
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
			t.Errorf("%s %s: %s, want %s", tt.field, tt.text, got, tt.want)
		}
	}
}

func FuzzLiteral(f *testing.F) {
	for i, s := range []string{"443", "-1", "16:03", "10.0.0.0/8", "::1", "1.5", "2026-11-28 10:30:00", "True"} {
		f.Add(uint8(i), uint8(i%3), s)
	}
	f.Fuzz(func(t *testing.T, typ, form uint8, s string) {
		d := Domain{Type: Type(typ%uint8(Object)) + 1, Family: int(typ>>4) % 8, Names: setNames}
		if v, err := d.Parse(s, Form(form%3)); err == nil {
			if order, ok := Compare(v, v); d.Type != Object && (!ok || order != 0) {
				t.Errorf("%q as %s is not equal to itself", s, d.Type)
			}
		}
	})
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

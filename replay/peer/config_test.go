package peer

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"howett.net/plist"

	"tundump/decode"
	"tundump/decode/frame"
)

func pools(v4, v6 string) string {
	one := func(family, ends string) string {
		start, end, ok := strings.Cut(ends, "-")
		if !ok {
			return ""
		}
		return fmt.Sprintf("<key>%s</key><dict><key>Pool</key><dict><key>StartAddress</key><string>%s</string><key>EndAddress</key><string>%s</string></dict></dict>", family, start, end)
	}
	return "<plist><dict>" + one("IPv4", v4) + one("IPv6", v6) + "</dict></plist>"
}

func TestConfigurationErrors(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "not an XML or binary property list"},
		{"hello", "not an XML or binary property list"},
		{"{ IPv4 = {}; }", "not an XML or binary property list"},
		{"<plist><array/></plist>", "not a dictionary"},
		{"<plist><dict/></plist>", "IPv4 is missing"},
		{"<plist><dict><key>IPv4</key><string>x</string></dict></plist>", "IPv4 is missing"},
		{"<plist><dict><key>IPv4</key><dict/></dict></plist>", "IPv4.Pool is missing"},
		{"<plist><dict><key>IPv4</key><dict><key>Pool</key><true/></dict></dict></plist>", "IPv4.Pool is not a dictionary"},
		{"<plist><dict><key>IPv4</key><dict><key>Pool</key><dict/></dict></dict></plist>", "IPv4.Pool.StartAddress is missing"},
		{"<plist><dict><key>IPv4</key><dict><key>Pool</key><dict><key>StartAddress</key><integer>1</integer></dict></dict></dict></plist>", "StartAddress is not a string"},
		{pools("10.0.0.9-10.0.0.2", ""), "before its start"},
		{pools("10.0.0.9-10.0.0.9", ""), "pool is empty"},
		{pools("10.0.0.9-10.1.0.2", ""), "one /16"},
		{pools("10.0.0-10.0.0.2", ""), `StartAddress "10.0.0" is not an IPv4 address`},
		{pools("fd00::1-fd00::2", ""), "is not an IPv4 address"},
		{pools("10.0.0.2-10.0.0.9", "10.0.0.2-10.0.0.9"), "is not an IPv6 address"},
		{pools("10.0.0.2-10.0.0.9", "fd00::9-fd00::2"), "before its start"},
		{pools("10.0.0.2-10.0.0.9", "fe80::1%eth0-fe80::2"), "is not an IPv6 address"},
		{strings.Replace(pools("10.0.0.2-10.0.0.9", ""), "<dict>", "<dict><key>x</key><string>"+strings.Repeat("y", 140000)+"</string>", 1), "does not fit into a message"},
		{strings.Repeat(" ", 1<<20+1), "1 MiB"},
		{"<plist>" + strings.Repeat("<array>", 100000), "too large"},
		// Inputs that kill or stall the library.
		{unhex("62706c6973743030d101025f13fffffffffffffff009080b150000000000000101000000000000000300000000000000000000000000000016"), "bplist"},
		{unhex("62706c6973743030a20101a20202a20303a20404a20505a20606a20707a20808a20909a20a0aa20b0ba20c0ca20d0da20e0ea20f0fa21010a21111a21212a21313a21414a21515a2161609080b0e1114171a1d202326292c2f3235383b3e4144474a000000000000010100000000000000170000000000000000000000000000004b"), "too large"},
	} {
		_, err := ReadConfiguration([]byte(tt.in))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: %v, want one line with %q", tt.in, err, tt.want)
		}
	}
}

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestConfigurationPassesThrough(t *testing.T) {
	in := map[string]any{
		"IPv4": map[string]any{"Pool": map[string]any{"StartAddress": "10.0.0.2", "EndAddress": "10.0.0.4"}, "Routes": []any{}},
		"IPv6": map[string]any{"Pool": map[string]any{"StartAddress": "fd00::2", "EndAddress": "fd00::3"}},
		"DNS":  map[string]any{"Servers": []any{"9.9.9.9"}},
		"x":    map[string]any{"int": -5, "real": 1.5, "bool": true, "data": []byte{1, 2}, "text": "ü\x1b"},
	}
	for _, format := range []int{plist.XMLFormat, plist.BinaryFormat} {
		if format == plist.XMLFormat {
			in["x"].(map[string]any)["text"] = "ü" // XML has no escape character
		}
		b := must(plist.Marshal(in, format))(t)
		c := must(ReadConfiguration(b))(t)
		var e encoder
		var m decode.Message
		read := func(rec []byte, err error) Assigned {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}); err != nil {
				t.Fatal(err)
			}
			return ParseAssigned(m.Configuration())
		}
		a, ok := c.assign()
		if got := read(e.openResultIP(1, c, a)); !ok || fmt.Sprint(got.Addresses, got.DNS) != "[10.0.0.2/32 fd00::2/128] [9.9.9.9]" {
			t.Fatal(got)
		}
		x := m.Configuration().Get("x")
		n, _ := x.Get("int").Int()
		r, _ := x.Get("real").Real()
		v, _ := x.Get("bool").Bool()
		d, _ := x.Get("data").Data()
		if n != -5 || r != 1.5 || !v || string(d) != "\x01\x02" || !x.Get("text").EqualText(in["x"].(map[string]any)["text"].(string)) {
			t.Fatal("values did not come through")
		}
		if _, ok := c.assign(); ok {
			t.Fatal("the IPv6 pool is exhausted, and an address was assigned")
		}
		c.giveBack(a)
		if b, ok := c.assign(); !ok || a != b {
			t.Fatal(b, "want", a)
		}
		read(e.fetchAnswer(c))
		if conf := m.Configuration(); conf.Get("IPv4").Exists() || conf.Get("IPv6").Exists() || !conf.Get("x").Exists() {
			t.Fatal("the fetched configuration has addresses")
		}
	}
}

func TestDefaultConfiguration(t *testing.T) {
	c := DefaultConfiguration()
	if got := fmt.Sprint(c.Gateways(), c.Networks()); got != "[10.8.0.1/16 fd00:8::1/64] [10.8.0.0/16 fd00:8::/64]" {
		t.Fatal(got)
	}
	a, ok := c.assign()
	if !ok || a.v4 != netip.MustParseAddr("10.8.0.2") || a.v6 != netip.MustParseAddr("fd00:8::2") {
		t.Fatal(a)
	}
}

// FuzzConfiguration: whatever is accepted can be told to a client, within a
// message, with an address of the pool.
func FuzzConfiguration(f *testing.F) {
	f.Add([]byte(pools("10.0.0.2-10.0.0.9", "fd00::2-fd00::9")))
	f.Add([]byte(pools("255.255.255.254-255.255.255.255", "")))
	b, err := plist.Marshal(map[string]any{"IPv4": map[string]any{"Pool": map[string]any{"StartAddress": "10.0.0.2", "EndAddress": "10.0.0.4"}}}, plist.BinaryFormat)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ReadConfiguration(b)
		if err != nil {
			if strings.Contains(err.Error(), "runtime error: invalid memory") {
				t.Fatal(err)
			}
			return
		}
		a, ok := c.assign()
		if !ok {
			t.Fatal("a pool without an address was accepted")
		}
		var e encoder
		rec, err := e.openResultIP(1, c, a)
		if err != nil || len(rec) > frame.MaxLen {
			t.Fatal(len(rec), err)
		}
		var m decode.Message
		if err := m.Decode(decode.Event{Kind: decode.Record, Dir: decode.ServerToClient, Raw: rec}); err != nil {
			t.Fatal(err)
		}
		got := ParseAssigned(m.Configuration())
		if len(got.Addresses) == 0 || got.Addresses[0].Addr() != a.v4 || !c.pool4.contains(a.v4) {
			t.Fatalf("%+v", got)
		}
	})
}

package bplist_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"tundump/decode/bplist"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">`

func TestXMLValues(t *testing.T) {
	for text, want := range map[string]tree{
		"<integer>9</integer>":                          int64(9),
		"<integer> - 0x1F</integer>":                    int64(-31),
		"<integer>+007</integer>":                       int64(7),
		"<integer>-9223372036854775808</integer>":       int64(math.MinInt64),
		"<real>1.5</real>":                              1.5,
		"<real>-Infinity</real>":                        math.Inf(-1),
		"<real>inf</real>":                              math.Inf(1),
		"<real>nan</real>":                              math.NaN(),
		"<true/>":                                       true,
		"<false></false>":                               false,
		"<string/>":                                     "",
		"<string>a&lt;&#x20ac;<![CDATA[<b>]]></string>": "a<€<b>",
		"<key>k</key>":                                  "k",
		"<data>\n\tAAEC\n Aw==\n</data>":                []byte{0, 1, 2, 3},
		"<data></data>":                                 []byte{},
		"<date>2001-01-02T00:00:01Z</date>":             date(86401),
		"<array/>":                                      []tree{},
		"<dict><!-- c --><key>a</key><array><true/></array></dict>": pairs{{"a", []tree{true}}},
		"<dict><key>CF$UID</key><integer>7</integer></dict>":        uid(7),
	} {
		for _, whole := range []string{text, xmlHead + text + "</plist>", "\ufeff" + text + "behind"} {
			d, err := bplist.Open([]byte(whole), bplist.Limits{})
			if err != nil || d.Encoding() != bplist.XML {
				t.Errorf("%s: %v, %v", whole, d.Encoding(), err)
				continue
			}
			budget := 100
			got, _ := treeOf(d.Root(), &budget)
			if diff := cmp.Diff(want, got, treeOptions); diff != "" {
				t.Errorf("%s (-want +got):\n%s", whole, diff)
			}
			s := d.Root().Span()
			if got := whole[s.Off : s.Off+s.Len]; got != text {
				t.Errorf("%s: its span is %q", whole, got)
			}
		}
	}
	d, err := bplist.ParseXML([]byte("<integer>18446744073709551615</integer>"), bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if root := d.Root(); string(root.AppendText(nil)) != "18446744073709551615" || !root.IsNumber() {
		t.Errorf("2^64-1 reads as %s", root.AppendText(nil))
	}
}

func TestXMLSpans(t *testing.T) {
	text := "<dict> <key>a</key><string>x&amp;y</string><key>b</key><data>AA==</data></dict>"
	d, err := bplist.ParseXML([]byte(text), bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	root := d.Root()
	for key, want := range map[string]string{"a": "x&amp;y", "b": "AA=="} {
		s := root.Get(key).Body()
		if got := text[s.Off : s.Off+s.Len]; got != want {
			t.Errorf("the body of %s is %q, want %q", key, got, want)
		}
	}
}

func TestXMLRefused(t *testing.T) {
	for text, ours := range map[string]bool{
		"<plist/>": false, "<plist></plist>": false, "<plist><true/><true/></plist>": false,
		"<integer/>": false, "<integer></integer>": false, "<integer>1 </integer>": false, "<integer>1f</integer>": false,
		"<integer>0x</integer>": false, "<integer>18446744073709551616</integer>": false, "<integer>-9223372036854775809</integer>": false,
		"<real>1_0</real>": false, "<real></real>": false, "<real>+nan</real>": false, "<real>0x1p3</real>": false,
		"<data/>": false, "<date>2001-01-01</date>": false, "<date>2001-01-01T00:00:00</date>": false,
		"<true>x</true>": false, "<string>a": false, "<string>a<!-- c --></string>": false, "<string>&nbsp;</string>": false,
		"<dict><true/></dict>": false, "<dict><key>a</key></dict>": false, "<array>text</array>": false, "<array></dict>": false,
		"<uid>1</uid>": false, "<x:array/>": false, "<!-- only -->": false, "<": false, "": false,
		`<!DOCTYPE p [<!ENTITY a "aaaa">]><string>&a;</string>`:          false,
		`<?xml version="1.0" encoding="iso-8859-1"?><string>a</string>`:  true,
		strings.Repeat("<array>", 513) + strings.Repeat("</array>", 513): false,
		"<array>" + strings.Repeat("<true/>", 1<<13) + "</array>":        true,
	} {
		_, err := bplist.ParseXML([]byte(text), bplist.Limits{})
		var e *bplist.Error
		if !errors.As(err, &e) || e.Ours != ours {
			t.Errorf("%.60s: %v", text, err)
		} else if e.Span.Off < 0 || e.Span.Len < 0 || e.Span.Off+e.Span.Len > len(text) {
			t.Errorf("%.60s: the error's span is %v", text, e.Span)
		}
	}
	deep := strings.Repeat("<array>", 512) + strings.Repeat("</array>", 512)
	if _, err := bplist.ParseXML([]byte("<plist>"+deep+"</plist>"), bplist.Limits{}); err != nil {
		t.Errorf("512 levels: %v", err)
	}
}

// wide returns text in UTF-16 with a byte order mark.
func wide(text string, order binary.AppendByteOrder) []byte {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestWideText(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		b := wide(`<?xml version="1.0" encoding="UTF-16"?><dict><key>command</key><integer>9</integer></dict>`, order)
		d, err := bplist.Open(b, bplist.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		v := d.Root().Get("command")
		if n, ok := v.Int(); n != 9 || !ok || v.Span() != (bplist.Span{Off: 0, Len: len(b)}) {
			t.Errorf("command is %d, its span %v", n, v.Span())
		}
		if d, err := bplist.Open(wide("{ a = \"😀\"; }", order), bplist.Limits{}); err != nil || d.Shape() != bplist.Dictionary {
			t.Errorf("OpenStep: %v, %v", d.Shape(), err)
		}
	}
}

func TestXMLDuplicateKeys(t *testing.T) {
	d, err := bplist.ParseXML([]byte("<dict><key>a</key><integer>1</integer><key>a</key><integer>2</integer></dict>"), bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	root := d.Root()
	if n, _ := root.Get("a").Int(); n != 2 {
		t.Errorf("a is %d; in XML the last of equal keys wins", n)
	}
	if _, found := root.DuplicateKey(); !found {
		t.Error("the duplicate was not found")
	}
}

func TestOpenStep(t *testing.T) {
	for text, want := range map[string]bplist.Shape{
		"": 0, " \n\t": bplist.Dictionary, "// nothing": bplist.Dictionary, "/* nothing": bplist.Dictionary,
		"hello": bplist.TextString, "bplist00": bplist.TextString, `"quoted \" string"`: bplist.TextString, "'a'": bplist.TextString,
		"( )": bplist.TextArray, "(a, (b), {c = d;},)": bplist.TextArray, "<0bAD f0>": bplist.TextData,
		"{ }": bplist.Dictionary, "{ command = 9; /* c */ \"k\" = (1,2); short; }": bplist.Dictionary,
		"a = b; c;": bplist.StringsFile, "a;": bplist.StringsFile, "a = {b = c;}; junk": 0, "a = b; ) ignored": bplist.StringsFile,
		"a = b": 0, "{ a = b }": 0, "{ a = b; ": 0, "{ = b; }": 0, "( a b )": 0, "(,)": 0, "(": 0, "<0>": 0, "<0x>": 0, "<00": 0,
		"\"open": 0, "\"open\\": 0, "{} junk": 0, `{"command": 9}`: 0, "é": 0, "\xff": 0, "a\u2028=\u2029b;": bplist.StringsFile,
		"// line\u2028a": bplist.TextString,
	} {
		got, err := bplist.ReadOpenStep([]byte(text), bplist.Limits{})
		if got != want || (err == nil) != (want != bplist.NotPropertyList) {
			t.Errorf("%q is a %v, want %v (%v)", text, got, want, err)
		}
	}
}

func TestWideErrorSpans(t *testing.T) {
	for _, text := range []string{"{ a = '日本語日本語日本語'; } junk", "( 日", "<array>日本語</array>"} {
		b := wide(text, binary.BigEndian)
		_, err := bplist.Open(b, bplist.Limits{})
		var e *bplist.Error
		if !errors.As(err, &e) || e.Span != (bplist.Span{Off: 0, Len: len(b)}) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOpenNamesTheEncoding(t *testing.T) {
	for text, want := range map[string]bplist.Encoding{
		"bplist00 and no more\xff": bplist.Binary, "<plist><dict>": bplist.XML, "{ a": bplist.OpenStep, "\xff\x00\x01": bplist.Unknown,
	} {
		_, err := bplist.Open([]byte(text), bplist.Limits{})
		var e *bplist.Error
		if !errors.As(err, &e) || e.Encoding != want {
			t.Errorf("%q: %v, want an error about %v", text, err, want)
		}
	}
}

func FuzzXML(f *testing.F) {
	for _, s := range []string{
		xmlHead + "<dict><key>command</key><integer>9</integer><key>d</key><data>AAEC</data></dict></plist>",
		"<array><real>1.5</real><date>2001-01-01T00:00:00Z</date><true/><string>&amp;<![CDATA[x]]></string></array>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := bplist.ParseXML(b, bplist.Limits{})
		checkError(t, b, err)
		if err != nil {
			return
		}
		budget := 10000
		checkValue(t, b, d.Root(), &budget)
		budget = 10000
		want, ok := treeOf(d.Root(), &budget)
		if !ok || len(b) > 1000 {
			return
		}
		again, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var howett any
		if _, err := plist.Unmarshal(again, &howett); err != nil {
			t.Fatalf("howett.net/plist refuses what was read: %v", err)
		}
	})
}

func FuzzOpenStep(f *testing.F) {
	for _, s := range []string{"{ a = (b, <00>); c; }", "a = 'b'; // c", "hello", "/* */", "((("} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		shape, err := bplist.ReadOpenStep(b, bplist.Limits{})
		checkError(t, b, err)
		if (err == nil) != (shape != bplist.NotPropertyList) {
			t.Fatalf("%v and %v", shape, err)
		}
		if err == nil && shape == bplist.Dictionary {
			// A comment and a blank in front change nothing.
			if again, err := bplist.ReadOpenStep(append([]byte("/* */ "), b...), bplist.Limits{}); again != shape && b[0] < 0x80 {
				t.Fatalf("behind a comment it is a %v: %v", again, err)
			}
		}
	})
}

// TestPythonAgreesOnXML writes XML with plistlib and reads it here.
func TestPythonAgreesOnXML(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to compare with")
	}
	out, err := exec.Command(python, "-c", `
import plistlib, sys, datetime
sys.stdout.buffer.write(plistlib.dumps({"i": -5, "u": "é<&>😀", "d": bytes(range(200)), "l": [True, False, 2.5], "t": datetime.datetime(2020, 2, 29, 1, 2, 3), "e": {}}, sort_keys=False))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	d, err := bplist.Open(out, bplist.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	bytes200 := make([]byte, 200)
	for i := range bytes200 {
		bytes200[i] = byte(i)
	}
	want := pairs{
		{"i", int64(-5)}, {"u", "é<&>😀"}, {"d", bytes200}, {"l", []tree{true, false, 2.5}},
		{"t", date(604630923)}, {"e", pairs{}},
	}
	budget := 100
	got, _ := treeOf(d.Root(), &budget)
	if diff := cmp.Diff(tree(want), got, treeOptions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

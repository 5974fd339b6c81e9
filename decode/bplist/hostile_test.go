package bplist_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"tundump/decode/bplist"
)

// assemble puts encoded objects together; a zero refSize or offSize is chosen
// as Apple's encoder does. offsets, if there are any, replace the objects' own.
func assemble(objects [][]byte, refSize, offSize int, offsets ...int) []byte {
	b := []byte("bplist00")
	var table []int
	for _, o := range objects {
		table = append(table, len(b))
		b = append(b, o...)
	}
	if offsets != nil {
		table = offsets
	}
	at := len(b)
	if offSize == 0 {
		for offSize = 1; at>>(8*offSize) != 0; {
			offSize *= 2
		}
	}
	for _, off := range table {
		b = append(b, binary.BigEndian.AppendUint64(nil, uint64(off))[8-offSize:]...)
	}
	b = append(b, 0, 0, 0, 0, 0, 0, byte(offSize), byte(refSize))
	b = binary.BigEndian.AppendUint64(b, uint64(len(table)))
	b = binary.BigEndian.AppendUint64(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(at))
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInputsThatKillOthers reads what makes howett.net/plist crash, hang or
// take all memory.
func TestInputsThatKillOthers(t *testing.T) {
	for name, c := range map[string]struct{ hex, what string }{
		"key of 2^64-16 bytes":      {"62706c6973743030d101025f13fffffffffffffff009080b150000000000000101000000000000000300000000000000000000000000000016", "negative"},
		"string of 2^64-11 bytes":   {"62706c69737430305f13fffffffffffffff5080000000000000101000000000000000100000000000000000000000000000012", "negative"},
		"data of 2^64-11 bytes":     {"62706c69737430304f13fffffffffffffff5080000000000000101000000000000000100000000000000000000000000000012", "negative"},
		"array of 2^64-11 elements": {"62706c6973743030af13fffffffffffffff5080000000000000101000000000000000100000000000000000000000000000012", "negative"},
		"dictionary of 2^63 pairs":  {"62706c6973743030df138000000000000000080000000000000101000000000000000100000000000000000000000000000012", "negative"},
		"text of 2^63 units":        {"62706c69737430306f138000000000000000080000000000000101000000000000000100000000000000000000000000000012", "negative"},
		"cycle":                     {"62706c6973743030a10008000000000000010100000000000000010000000000000000000000000000000a", "contains itself"},
		"22 levels of doubling":     {"62706c6973743030a20101a20202a20303a20404a20505a20606a20707a20808a20909a20a0aa20b0ba20c0ca20d0da20e0ea20f0fa21010a21111a21212a21313a21414a21515a2161609080b0e1114171a1d202326292c2f3235383b3e4144474a000000000000010100000000000000170000000000000000000000000000004b", ""},
	} {
		_, err := bplist.Parse(unhex(t, c.hex), bplist.Limits{})
		if c.what == "" && err != nil || c.what != "" && (err == nil || !strings.Contains(err.Error(), c.what)) {
			t.Errorf("%s: error %v, want %q", name, err, c.what)
		}
	}
	for name, text := range map[string]string{
		"parentheses": strings.Repeat("(", 6_000_000),
		"braces":      strings.Repeat("{a=", 2_000_000),
		"arrays":      "<plist>" + strings.Repeat("<array>", 1_500_000),
	} {
		d, err := bplist.Open([]byte(text), bplist.Limits{})
		var e *bplist.Error
		if !errors.As(err, &e) || !strings.Contains(e.What, "nested") || e.Ours {
			t.Errorf("%s: %v, %v", name, d.Shape(), err)
		}
	}
	if s, err := bplist.ReadOpenStep([]byte(strings.Repeat("(", 1e6)+strings.Repeat(")", 1e6)), bplist.Limits{Depth: 1e6}); s != bplist.TextArray {
		t.Errorf("a million levels, where they are allowed: %v, %v", s, err)
	}
}

// chain is n arrays inside each other.
func chain(n int) []byte {
	var objects [][]byte
	for i := range n {
		objects = append(objects, binary.BigEndian.AppendUint16([]byte{0xa1}, uint16(i+1)))
	}
	return assemble(append(objects, []byte{0x09}), 2, 4)
}

func TestDepth(t *testing.T) {
	for levels, ok := range map[int]bool{1: true, 15: true, 16: true, 17: true, 128: true, 512: true, 513: false, 20000: false} {
		d, err := bplist.Parse(chain(levels), bplist.Limits{})
		if (err == nil) != ok || ok && d.MaxDepth() != levels {
			t.Errorf("%d levels: depth %d, %v", levels, d.MaxDepth(), err)
		}
	}
	if d, err := bplist.Parse(chain(20000), bplist.Limits{Depth: 20000}); err != nil || d.MaxDepth() != 20000 {
		t.Errorf("20,000 levels, where they are allowed: %v", err)
	}
	var e *bplist.Error
	if _, err := bplist.Parse(chain(20), bplist.Limits{Depth: 10}); !errors.As(err, &e) || !e.Ours {
		t.Errorf("a stricter limit than Apple's must be called ours: %v", err)
	}
	if _, err := bplist.Parse(chain(20), bplist.Limits{Visits: 10}); !errors.As(err, &e) || !e.Ours {
		t.Errorf("a budget must be called ours: %v", err)
	}
}

const record = 128 << 10 // the longest message that the genuine ends accept

// overlapping is a record with 4,500 arrays that overlap: each begins four
// bytes behind the last and reaches to the end of the objects, so that together
// they have 20 million references. The root names the shortest first, so that
// nothing is nested.
func overlapping() []byte {
	const arrays, leaves = 4500, 0xaf11 + 1
	root := binary.BigEndian.AppendUint16([]byte{0xaf, 0x11}, arrays)
	var rest []byte
	base := 8 + len(root) + 2*arrays
	offsets := []int{8}
	for len(offsets) < leaves {
		offsets = append(offsets, base+4*arrays)
	}
	for i := 1; i <= arrays; i++ { // array number 2i has 2i references
		root = binary.BigEndian.AppendUint16(root, uint16(2*i))
		rest = binary.BigEndian.AppendUint16(append(rest, 0xaf, 0x11), uint16(2*(arrays-i+1)))
		offsets[2*i] = base + 4*(arrays-i)
	}
	return assemble([][]byte{root, rest, {9, 9, 9, 9}}, 2, 2, offsets...)
}

// manyNumbers is n numbers that all mean one array of n references.
func manyNumbers(n int) []byte {
	array := []byte{0xaf, 0x12}
	array = binary.BigEndian.AppendUint32(array, uint32(n))
	for i := range n {
		array = binary.BigEndian.AppendUint16(array, uint16(i))
	}
	root := append([]byte{0xaf, 0x12}, array[2:]...)
	offsets := []int{8}
	for range n {
		offsets = append(offsets, 8+len(root))
	}
	for i := range n { // the array's own elements are the number behind the last
		binary.BigEndian.PutUint16(array[6+2*i:], uint16(n+1))
		binary.BigEndian.PutUint16(root[6+2*i:], uint16(i+1))
	}
	offsets = append(offsets, 8+len(root)+len(array))
	return assemble([][]byte{root, array, {0x09}}, 2, 3, offsets...)
}

// oneKey is a dictionary of n pairs of the same key.
func oneKey(n int) []byte {
	dict := append(binary.BigEndian.AppendUint32([]byte{0xdf, 0x12}, uint32(n)), bytes.Repeat([]byte{1}, 2*n)...)
	return assemble([][]byte{dict, {0x57, 'c', 'o', 'm', 'm', 'a', 'n', 'x'}}, 1, 4)
}

// manyContainers is an array of n arrays.
func manyContainers(n int) []byte {
	root := binary.BigEndian.AppendUint32([]byte{0xaf, 0x12}, uint32(n))
	objects := [][]byte{nil}
	for i := range n {
		root = binary.BigEndian.AppendUint16(root, uint16(i+1))
		objects = append(objects, []byte{0xa1, byte((n + 1) >> 8), byte(n + 1)})
	}
	objects = append(objects, []byte{0x09})
	objects[0] = root
	return assemble(objects, 2, 3)
}

// fullSize are hostile records of the greatest size.
func fullSize() map[string][]byte {
	return map[string][]byte{
		"deep":           chain(18000),
		"overlapping":    overlapping(),
		"many-numbers":   manyNumbers(18000),
		"one-key":        oneKey(65000),
		"many-container": manyContainers(16000),
		"one-array":      assemble([][]byte{append(binary.BigEndian.AppendUint32([]byte{0xaf, 0x12}, 130000), bytes.Repeat([]byte{1}, 130000)...), {0x10, 7}}, 1, 4),
		"one-utf16-key":  assemble([][]byte{append(binary.BigEndian.AppendUint32([]byte{0xdf, 0x12}, 30000), bytes.Repeat([]byte{1}, 60000)...), append([]byte{0x6f, 0x11, 0x7f, 0xff}, make([]byte, 65534)...)}, 1, 4),
	}
}

func TestFullSizeRecords(t *testing.T) {
	for name, b := range fullSize() {
		if len(b) > record+100 || len(b) < record/2 {
			t.Errorf("%s has %d bytes", name, len(b))
		}
		_, err := bplist.Parse(b, bplist.Limits{})
		var e *bplist.Error
		errors.As(err, &e)
		switch {
		case name == "overlapping" && (e == nil || !e.Ours || !strings.Contains(e.What, "budget")),
			name == "deep" && (e == nil || e.Ours),
			name != "overlapping" && name != "deep" && err != nil:
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkParseHostile(b *testing.B) {
	for name, payload := range fullSize() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d, err := bplist.Parse(payload, bplist.Limits{})
				if err == nil {
					root := d.Root()
					root.DuplicateKey()
				}
			}
		})
	}
}

func BenchmarkOpenHostileText(b *testing.B) {
	for name, payload := range map[string]string{
		"xml-keys":    "<array>" + strings.Repeat("<key/>\n", 5400) + "</array>",
		"xml-numbers": "<array>" + strings.Repeat("<integer>1</integer>", 5400) + "</array>",
		"openstep":    "(" + strings.Repeat("a,", record/2-2) + ")",
		"comments":    strings.Repeat("/**/", record/4),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bplist.Open([]byte(payload), bplist.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

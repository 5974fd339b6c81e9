// Package notes reads and writes what people say about a capture, which lies
// beside it in FILE.notes: notes, marks and names.
//
// The file is NDJSON, one object a line, and grows at its end only. Each line
// says one thing, and a later line about the same takes the place of an
// earlier one:
//
//	{"type":"note","frame":12,"text":"here it goes wrong"}   a note on inner packet 12
//	{"type":"note","msg":7,"text":"the first suspend"}       a note on message 7
//	{"type":"note","msg":7,"text":""}                        and its end
//	{"type":"name","addr":"10.8.0.1","name":"gateway"}       a name for an address
//	{"type":"name","addr":"10.8.0.1","name":""}              and its end
//	{"type":"mark","frame":12,"name":"a"}                    a mark, with a name or without
//	{"type":"mark","frame":12,"off":true}                    and its end
//
// Readers pass over keys and types that they do not know.
package notes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
)

// Suffix is what a capture's name has behind it for its notes' name.
const Suffix = ".notes"

// Limits of a file: what is beyond is passed over and counted.
const (
	MaxLine  = 64 << 10 // bytes
	MaxLines = 1 << 20
)

// Type is what a line is about.
type Type string

const (
	Note Type = "note"
	Mark Type = "mark"
	Name Type = "name"
)

// Line is one line of the file. A note or a mark has Frame, the number of an
// inner packet, or Message; a name has Addr.
type Line struct {
	Type    Type   `json:"type"`
	Frame   int64  `json:"frame,omitempty"`
	Message int64  `json:"msg,omitempty"`
	Text    string `json:"text,omitempty"` // of a note; empty: it is taken back
	Addr    string `json:"addr,omitempty"`
	Name    string `json:"name,omitempty"` // of an address, empty: it is taken back; of a mark
	Off     bool   `json:"off,omitempty"`  // the mark is taken back
}

// AppendLine appends l as a line of the file.
func AppendLine(dst []byte, l Line) ([]byte, error) {
	if err := l.check(); err != nil {
		return dst, err
	}
	b, err := json.Marshal(l)
	if err != nil {
		return dst, fmt.Errorf("notes: %w", err)
	}
	if len(b) > MaxLine {
		return dst, fmt.Errorf("notes: a line of %d bytes; the limit is %d", len(b), MaxLine)
	}
	return append(append(dst, b...), '\n'), nil
}

func (l *Line) check() error {
	switch l.Type {
	case Note, Mark:
		if (l.Frame > 0) == (l.Message > 0) || l.Frame < 0 || l.Message < 0 {
			return fmt.Errorf("notes: a %s is on a frame or on a message", l.Type)
		}
	case Name:
		if _, err := netip.ParseAddr(l.Addr); err != nil {
			return fmt.Errorf("notes: a name is for an address: %w", err)
		}
	default:
		return fmt.Errorf("notes: unknown type %q", l.Type)
	}
	return nil
}

// Row names what a note or a mark is on: one of the two is 0.
type Row struct{ Frame, Message int64 }

// Notes is what a file says.
type Notes struct {
	Notes   map[Row]string
	Marks   map[Row]string // to their names, which may be empty
	Names   map[netip.Addr]string
	Skipped int // lines that say nothing that is understood
}

// Empty reports whether nothing is said.
func (n *Notes) Empty() bool { return len(n.Notes)+len(n.Marks)+len(n.Names) == 0 }

// Comments appends what is said on a row, each as the text of a comment.
func (n *Notes) Comments(dst []string, r Row) []string {
	if n == nil {
		return dst
	}
	on := ""
	if r.Message > 0 {
		on = " on #" + strconv.FormatInt(r.Message, 10)
	}
	if text, ok := n.Notes[r]; ok {
		dst = append(dst, "note"+on+": "+text)
	}
	if name, ok := n.Marks[r]; ok {
		text := "mark" + on
		if name != "" {
			text += ": " + name
		}
		dst = append(dst, text)
	}
	return dst
}

// Read reads a file of notes. What it cannot understand it counts; the error
// is r's.
func Read(r io.Reader) (*Notes, error) {
	n := &Notes{Notes: make(map[Row]string), Marks: make(map[Row]string), Names: make(map[netip.Addr]string)}
	b := bufio.NewReaderSize(r, MaxLine)
	for lines := 0; ; {
		line, err := b.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("notes: %w", err)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if lines++; tooLong || lines > MaxLines || !n.add(line) {
				n.Skipped++
			}
		}
		if err == io.EOF {
			return n, nil
		}
	}
}

func (n *Notes) add(line []byte) bool {
	var l Line
	if json.Unmarshal(line, &l) != nil || l.check() != nil {
		return false
	}
	row := Row{l.Frame, l.Message}
	switch l.Type {
	case Note:
		set(n.Notes, row, l.Text, l.Text == "")
	case Mark:
		set(n.Marks, row, l.Name, l.Off)
	case Name:
		addr, err := netip.ParseAddr(l.Addr)
		if err != nil {
			return false
		}
		set(n.Names, addr.Unmap().WithZone(""), l.Name, l.Name == "")
	}
	return true
}

func set[K comparable](m map[K]string, k K, v string, gone bool) {
	if gone {
		delete(m, k)
		return
	}
	m[k] = v
}

// Of reads the notes of the capture at path. A capture without any has none.
func Of(path string) (n *Notes, err error) {
	f, err := os.Open(path + Suffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Notes{}, nil
	case err != nil:
		return nil, fmt.Errorf("notes: %w", err)
	}
	n, err = Read(f)
	return n, errors.Join(err, f.Close())
}

package output

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/decode/field"
)

// Where a section says that none of its fields have values, none has: over
// every packet of the captures beside the repository.
func TestSectionsLeaveNothingOut(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "shared", "captures", "*", "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Skip("no real captures beside the repository:", err)
	}
	sections := field.Sections(func(*field.Field) bool { return true })
	skipped := 0
	for _, file := range files {
		c, err := sniff.Open(file, sniff.Options{Bare: true})
		if err != nil {
			continue // some are broken on purpose
		}
		s := session.New(c.Store())
		for {
			row, err := s.Next(context.Background())
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Log(file, err)
				}
				break
			}
			for i := range row.Packets {
				skipped += leftOut(t, file, row.PacketRow(i), sections)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if skipped == 0 {
		t.Error("no section was left out")
	}
}

func leftOut(t *testing.T, file string, r *field.Row, sections []field.Section) (skipped int) {
	for i := range sections {
		if sections[i].In(r) {
			continue
		}
		skipped++
		for _, f := range sections[i].Fields {
			if v := f.Values(nil, r); len(v) > 0 {
				t.Errorf("%s: packet %d has %s", filepath.Base(file), r.Number, f.Name)
			}
		}
	}
	return skipped
}

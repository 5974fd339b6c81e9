package stream_test

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"tundump/capture/judge"
	"tundump/decode"
	"tundump/decode/stream"
)

// TestFollow: the bytes of each direction are those that tshark follows.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "app")
	generate(t, "app", "--synthetic", "5", app)
	for _, flags := range []string{"", "--reorder 0.1", "--retrans 0.1 --overlap 0.1 --wrap", "--loss 0.05 --random-segments --ipv6"} {
		path := filepath.Join(dir, "outer"+strings.ReplaceAll(flags, " ", "")+".pcap")
		generate(t, append([]string{"outer", app, path}, strings.Fields(flags)...)...)
		out := judge.Tshark(t, path, "-q", "-z", "follow,tcp,raw,0")
		var want, got [2][]byte
		for line := range strings.Lines(string(out)) {
			line = strings.TrimRight(line, "\r\n")
			side := 0
			if strings.HasPrefix(line, "\t") {
				side = 1
			}
			if b, err := hex.DecodeString(strings.TrimSpace(line)); err == nil {
				want[side] = append(want[side], b...)
			}
		}
		events, _ := find(t, stream.Options{}, path)
		for _, ev := range events {
			got[ev.Dir] = append(got[ev.Dir], ev.Raw...)
		}
		for d := range got {
			if len(got[d]) == 0 || !bytes.Equal(got[d], want[d]) {
				t.Errorf("%q: %v has %d bytes, tshark follows %d", flags, decode.Direction(d), len(got[d]), len(want[d]))
			}
		}
	}
}

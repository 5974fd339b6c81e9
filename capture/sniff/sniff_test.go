package sniff

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"tundump/capture"
	"tundump/capture/pcapng"
	"tundump/capture/record"
	"tundump/capture/store"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// suspend is a record that only servers send.
func suspend(tb testing.TB, id int64) []byte {
	return build(tb, func(w *bplist.Writer) bplist.Ref {
		return w.Dict(w.String("command"), w.Int(int64(decode.Suspend)), w.String("identifier"), w.Int(id))
	})
}

func build(tb testing.TB, root func(w *bplist.Writer) bplist.Ref) []byte {
	tb.Helper()
	var w bplist.Writer
	b, err := w.Append(frame.Reserve(nil), root(&w))
	if err != nil {
		tb.Fatal(err)
	}
	if err := frame.PutLength(b, 0); err != nil {
		tb.Fatal(err)
	}
	return b
}

// ipv4 returns a TCP packet from port a to port b, PSH and ACK.
func ipv4(a, b uint16, seq uint32, payload []byte) []byte {
	h := make([]byte, 40, 40+len(payload))
	h[0], h[8], h[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(h[2:], uint16(40+len(payload)))
	copy(h[12:], []byte{192, 0, 2, 1})
	copy(h[16:], []byte{192, 0, 2, 2})
	if a < b {
		copy(h[12:], []byte{192, 0, 2, 2})
		copy(h[16:], []byte{192, 0, 2, 1})
	}
	binary.BigEndian.PutUint16(h[20:], a)
	binary.BigEndian.PutUint16(h[22:], b)
	binary.BigEndian.PutUint32(h[24:], seq)
	h[32], h[33] = 5<<4, 0x18
	return append(h, payload...)
}

// capfile returns a pcapng file of somebody else's with these packets.
func capfile(link uint16, packets ...[]byte) []byte {
	b := pcapng.AppendSection(nil, "somebody's tool")
	b = pcapng.AppendInterface(b, &pcapng.Interface{LinkType: link})
	for i, p := range packets {
		b = pcapng.AppendPacket(b, &pcapng.Packet{Time: int64(i+1) * 1e9, Data: p})
	}
	return b
}

func ethernet(ip []byte) []byte {
	return append(append(make([]byte, 12), 0x08, 0x00), ip...)
}

func write(tb testing.TB, name string, b []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func packed(tb testing.TB, b []byte) (gz, zst []byte) {
	tb.Helper()
	var g, z bytes.Buffer
	gw := gzip.NewWriter(&g)
	zw, err := zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	for _, w := range []io.WriteCloser{gw, zw} {
		if _, err := w.Write(b); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	return g.Bytes(), z.Bytes()
}

// rows reads all rows of a capture and closes it.
func rows(tb testing.TB, c *Capture) []decode.Event {
	tb.Helper()
	var all []decode.Event
	for i := 0; ; i++ {
		if _, err := c.Store().Wait(context.Background(), i); err != nil {
			break
		}
		ev, err := c.Store().At(i, nil)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

// kinds writes down what rows are.
func kinds(events []decode.Event) string {
	var s []string
	for _, ev := range events {
		s = append(s, ev.Kind.String()+ev.Dir.Arrow())
	}
	return strings.Join(s, " ")
}

// own returns a capture of tundump's.
func own(tb testing.TB) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "own.pcapng")
	r, err := record.New(record.Options{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	b := capture.NewBatch()
	b.Events = append(b.Events, decode.Event{Kind: decode.Record, Tunnel: 1, Time: 1e9, Raw: suspend(tb, 1), Flags: decode.OnClientSide})
	r.Offer(b)
	b.Release()
	if err := errors.Join(r.Close(), r.Store().Close()); err != nil {
		tb.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// Every kind of capture gives its rows, as a file, compressed, and by a pipe.
func TestOpen(t *testing.T) {
	rec := suspend(t, 7)
	tunnel := ipv4(8890, 50000, 100, rec)
	web := ipv4(443, 50000, 100, bytes.Repeat([]byte("web "), 100))
	const found = "opened> record<"
	for _, tt := range []struct {
		name string
		file []byte
		opt  Options
		want string
		err  string
	}{
		{"tundump's own", own(t), Options{}, "record>", ""},
		{"tundump's own, empty", own(t)[:0], Options{}, "", "not a pcapng or pcap file"},
		{"Ethernet", capfile(1, ethernet(tunnel)), Options{}, found, ""},
		{"RAW with a tunnel", capfile(101, web, tunnel), Options{}, found, ""},
		{"RAW without one", capfile(101, web, web), Options{}, "packet< packet<", ""},
		{"Ethernet, told to be bare", capfile(1, ethernet(web)), Options{Bare: true}, "packet<", ""},
		{"the port named", capfile(1, ethernet(web), ethernet(tunnel)), Options{Ports: []uint16{443}}, "opened> unframed<", ""},
		{"no tunnel", capfile(1, ethernet(web)), Options{}, "", "1 packets of link type Ethernet, 1 of them IP, TCP connections to port 443 (1); name the tunnel's with --port N"},
		{"another port", capfile(101, tunnel), Options{Ports: []uint16{99}}, "", "no connection to port 99 in it"},
		{"no packets", capfile(1), Options{}, "", "there are no packets in it"},
		{"damaged at its beginning", capfile(1, ethernet(web))[:100], Options{}, "", "it was cut"},
		{"an unknown link type", capfile(147, web), Options{}, "", "link type 147, which is not known"},
		{"no capture", []byte("GET / HTTP/1.1\r\n\r\n"), Options{}, "", "not a pcapng or pcap file"},
	} {
		gz, zst := packed(t, tt.file)
		for name, b := range map[string][]byte{"file": tt.file, "gz": gz, "zst": zst} {
			path := write(t, name, b)
			t.Run(tt.name+" "+name, func(t *testing.T) { opened(t, path, tt.opt, tt.want, tt.err) })
		}
		t.Run(tt.name+" pipe", func(t *testing.T) { opened(t, pipe(t, tt.file), tt.opt, tt.want, tt.err) })
	}
}

// opened opens path and compares its rows, or the error, wherever it comes.
func opened(t *testing.T, path string, o Options, want, wantErr string) {
	t.Helper()
	c, err := Open(path, o)
	if err == nil {
		if got := kinds(rows(t, c)); got != want {
			t.Errorf("rows %q, want %q", got, want)
		}
		err = c.Err()
		if cerr := c.Close(); cerr != nil {
			t.Error(cerr)
		}
	}
	if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
		t.Errorf("error %v, want %q", err, wantErr)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than a line", err)
	}
}

// A file that is cut is read up to there, with a warning.
func TestCut(t *testing.T) {
	b := capfile(1, ethernet(ipv4(8890, 50000, 100, suspend(t, 7))), ethernet(make([]byte, 100)))
	gz, _ := packed(t, b)
	for name, b := range map[string][]byte{"file": b[:len(b)-20], "gz": gz[:len(gz)-4]} {
		c, err := Open(write(t, name, b), Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := kinds(rows(t, c)); got != "opened> record<" {
			t.Errorf("%s: %q", name, got)
		}
		if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "it was cut") {
			t.Errorf("%s: warnings %q", name, w)
		}
		if err := errors.Join(c.Err(), c.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What comes by a pipe is shown as it comes, and Close ends it.
func TestLivePipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	w := fifo(t, path)
	rec := suspend(t, 7)
	b := capfile(1, ethernet(ipv4(8890, 50000, 100, rec)), ethernet(ipv4(8890, 50000, 100+uint32(len(rec)), rec)))
	// What is joined in its middle is settled by an acknowledgement.
	ack := ipv4(50000, 8890, 1, nil)
	binary.BigEndian.PutUint32(ack[28:], 100+2*uint32(len(rec)))
	b = pcapng.AppendPacket(b, &pcapng.Packet{Time: 3e9, Data: ethernet(ack)})
	writer := make(chan *os.File)
	go func() {
		out := <-w
		if _, err := out.Write(b); err != nil {
			t.Error(err)
		}
		writer <- out
	}()
	c, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := <-writer
	if n, err := c.Store().Wait(context.Background(), 2); err != nil || n < 3 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := errors.Join(out.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	<-c.store.Done()
	c.done.Wait()
}

func TestStoreIsForeign(t *testing.T) {
	c, err := Open(write(t, "own", own(t)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Foreign() {
		t.Error("tundump's own capture is foreign")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Store().At(0, nil); errors.Is(err, store.ErrGone) || err == nil {
		t.Errorf("after Close: %v", err)
	}
}

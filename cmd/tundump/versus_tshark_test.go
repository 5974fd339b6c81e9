package main

import (
	"bufio"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tundump/capture"
	"tundump/capture/pcapng"
	"tundump/capture/record"
	"tundump/capture/sniff"
	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
	"tundump/decode/rewrite"
)

// TestVersusTshark compares printing and filtering a million inner packets with
// tshark on the same packets, in processor time:
//
//	TUNDUMP_VERSUS=1 go test ./cmd/tundump -run TestVersusTshark -v -timeout 30m
//
// The packets are those of real captures beside the repository, over and over
// with other addresses. It asserts nothing: its figures are for people.
func TestVersusTshark(t *testing.T) {
	if os.Getenv("TUNDUMP_VERSUS") == "" {
		t.Skip("set TUNDUMP_VERSUS=1 to compare with tshark; it takes minutes")
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark:", err)
	}
	bin := buildProgram(t)
	ours, inner := millionPackets(t, t.TempDir(), 1_000_000)
	for _, c := range []struct {
		name            string
		tshark, tundump []string
	}{
		{"three fields", []string{"-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "tcp.srcport"}, []string{"--packets", "-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "tcp.srcport"}},
		{"json", []string{"-T", "json"}, []string{"--packets", "-T", "json"}},
		{"filter", []string{"-Y", "tcp.port==443", "-q"}, []string{"--packets", "-Y", "tcp.port==443", "-q"}},
		{"text", nil, []string{"--packets"}},
	} {
		us, usPeak := cost(t, exec.Command(bin, append([]string{"read", ours}, c.tundump...)...))
		them, themPeak := cost(t, exec.Command("tshark", append([]string{"-n", "-r", inner}, c.tshark...)...))
		t.Logf("%s: tundump %.2f s, %d MiB; tshark %.2f s, %d MiB; %.1f times as fast", c.name, us.Seconds(), usPeak>>20, them.Seconds(), themPeak>>20, them.Seconds()/us.Seconds())
	}
}

// cost runs a command and returns the processor time and the memory it took.
func cost(t *testing.T, cmd *exec.Cmd) (cpu time.Duration, peak int64) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.Stdout = null
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), maxRSS(cmd.ProcessState)
}

// elsewhere maps addresses to others, different ones for each of its values.
type elsewhere byte

func (e elsewhere) Map(a netip.Addr) netip.Addr {
	if a.Is4() {
		b := a.As4()
		b[1] ^= byte(e)
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	b[5] ^= byte(e)
	return netip.AddrFrom16(b)
}

// realPackets returns the IP packets of the captures beside the repository.
func realPackets(t *testing.T) (packets [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "captures", "*", "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Skip("no real captures beside the repository:", err)
	}
	for _, file := range files {
		c, err := sniff.Open(file, sniff.Options{Bare: true})
		if err != nil {
			continue // some are broken on purpose
		}
		st := c.Store()
		<-st.Done()
		for i := range st.Len() {
			ev, err := st.At(i, nil)
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == decode.Packet {
				packets = append(packets, ev.Raw)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return packets
}

// millionPackets writes n packets, as a recording of tunnels with four packets
// a message and as a capture without a tunnel.
func millionPackets(t *testing.T, dir string, n int) (ours, inner string) {
	t.Helper()
	corpus := realPackets(t)
	ours, inner = filepath.Join(dir, "tunnel.pcapng"), filepath.Join(dir, "inner.pcapng")
	rec, err := record.New(record.Options{Path: ours})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(inner)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	head := pcapng.AppendInterface(pcapng.AppendSection(nil, "test"), &pcapng.Interface{LinkType: 101, SnapLen: 262144})
	if _, err := w.Write(head); err != nil {
		t.Fatal(err)
	}
	var block []byte
	var message [][]byte
	now, offset := int64(1_700_000_000_000_000_000), int64(0)
	flush := func(tunnel uint32) {
		raw := packetsRecord(t, message)
		b := capture.NewBatch()
		buf := b.Grow(len(raw))[:len(raw)]
		copy(buf, raw)
		b.Events = append(b.Events, decode.Event{Kind: decode.Record, Tunnel: tunnel, Time: now, Flags: decode.OnClientSide, Raw: buf, Offset: offset})
		offset += int64(len(raw))
		rec.Offer(b)
		b.Release()
		message = message[:0]
	}
	for i := range n {
		round := i / len(corpus)
		r := rewrite.Rewriter{Addrs: elsewhere(round)}
		pkt := r.Append(nil, corpus[i%len(corpus)])
		if now += 10_000; len(pkt) > 16384 {
			pkt = pkt[:16384]
		}
		block = pcapng.AppendPacket(block[:0], &pcapng.Packet{Time: now}, pkt)
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
		if message = append(message, pkt); len(message) == 4 || i == n-1 {
			flush(1)
		}
	}
	if err := errors.Join(w.Flush(), f.Close(), rec.Close(), rec.Store().Close()); err != nil {
		t.Fatal(err)
	}
	return ours, inner
}

func packetsRecord(t *testing.T, packets [][]byte) []byte {
	t.Helper()
	families := make([]int64, len(packets))
	for i, p := range packets {
		if families[i] = decode.FamilyIPv4; len(p) > 0 && p[0]>>4 == 6 {
			families[i] = decode.FamilyIPv6
		}
	}
	var w bplist.Writer
	rec, err := w.Append(frame.Reserve(nil), w.Dict(w.String("identifier"), w.Int(1), w.String("command"), w.Int(8),
		w.String("packets"), w.DataArray(packets), w.String("protocols"), w.IntArray(families)))
	if err == nil {
		err = frame.PutLength(rec, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

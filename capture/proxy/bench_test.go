package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"tundump/capture"
	recorder "tundump/capture/record"
	"tundump/decode/bplist"
	"tundump/decode/frame"
)

// counter is a tap that only counts.
type counter struct{ bytes, events atomic.Int64 }

func (c *counter) Offer(b *capture.Batch) {
	n := 0
	for i := range b.Events {
		n += len(b.Events[i].Raw)
	}
	c.bytes.Add(int64(n))
	c.events.Add(int64(len(b.Events)))
}

// relayFunc relays clients of ln to upstream until ctx is done.
type relayFunc func(ctx context.Context, ln net.Listener, upstream string)

func withProxy(tap func() capture.Tap) relayFunc {
	return func(ctx context.Context, ln net.Listener, upstream string) {
		cfg := Config{Upstream: upstream}
		if tap != nil {
			cfg.Tap = tap()
		}
		_ = New(cfg).Serve(ctx, ln)
	}
}

// withRecorder records to a file without a name, and ends when all of it is
// written.
func withRecorder(o recorder.Options) relayFunc {
	return func(ctx context.Context, ln net.Listener, upstream string) {
		r, err := recorder.New(o)
		if err != nil {
			panic(err)
		}
		defer r.Store().Close()
		defer r.Close()
		_ = New(Config{Upstream: upstream, Tap: r}).Serve(ctx, ln)
	}
}

// withCopy is what the relay is compared with: io.Copy in both directions.
func withCopy(_ context.Context, ln net.Listener, upstream string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", upstream)
		if err != nil {
			c.Close()
			return
		}
		go func() {
			io.Copy(s, c)
			s.(*net.TCPConn).CloseWrite()
		}()
		go func() {
			io.Copy(c, s)
			c.Close()
			s.Close()
		}()
	}
}

// BenchmarkRelay measures the processor time of the whole process, the ends
// of the tunnel included, for each 1,400-byte record that a client sends and
// a server reads. "direct" is the ends alone, with nothing between, so the
// relay's own time is the difference.
//
// "paced": the sender waits for an answer of one empty record after each
// write, so a write is one read, as on a tunnel that is not saturated, and no
// run is better than another because its reads happened to be larger.
// "streamed": it does not wait until the end.
func BenchmarkRelay(b *testing.B) {
	for _, load := range []struct {
		name             string
		perWrite, bursts int
	}{{"paced,1", 1, 1}, {"paced,32", 32, 1}, {"streamed,1", 1, 1 << 30}, {"streamed,32", 32, 1 << 30}} {
		for _, way := range []struct {
			name  string
			relay relayFunc
		}{
			{"direct", nil},
			{"io.Copy", withCopy},
			{"proxy", withProxy(nil)},
			{"proxy,tap", withProxy(func() capture.Tap { return new(counter) })},
			{"proxy,recorder,no-inner", withRecorder(recorder.Options{NoInner: true})},
			{"proxy,recorder", withRecorder(recorder.Options{})},
		} {
			b.Run(load.name+"/"+way.name, func(b *testing.B) {
				benchRelay(b, way.relay, load.perWrite, load.bursts)
			})
		}
	}
}

func benchRelay(b *testing.B, relay relayFunc, perWrite, answerEvery int) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	addr := server.Addr().String()
	stop := func() {}
	if relay != nil {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addr = ln.Addr().String()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			relay(ctx, ln, server.Addr().String())
			close(done)
		}()
		stop = func() {
			cancel()
			ln.Close()
			<-done
		}
		defer stop()
	}
	client, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	conn, err := server.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()

	rec := packetsRecord(b, 1400)
	burst := bytes.Repeat(rec, perWrite)
	bursts := b.N/perWrite + 1
	empty := []byte{frame.HeaderLen, 0, 0, 0} // the shortest record
	go func() {
		buf := make([]byte, len(burst))
		for i := range bursts {
			if _, err := io.ReadFull(conn, buf); err != nil {
				return
			}
			if i%answerEvery == answerEvery-1 || i == bursts-1 {
				conn.Write(empty)
			}
		}
	}()
	var answer [4]byte
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime()
	for i := range bursts {
		if _, err := client.Write(burst); err != nil {
			b.Fatal(err)
		}
		if i%answerEvery != answerEvery-1 && i != bursts-1 {
			continue
		}
		if _, err := io.ReadFull(client, answer[:]); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stop() // what is queued to be written counts too
	b.ReportMetric(float64(processorTime()-before)/float64(bursts*perWrite), "cpu-ns/record")
}

// packetsRecord is a packets message of n bytes with one IPv4 packet in it.
func packetsRecord(tb testing.TB, n int) []byte {
	pkt := make([]byte, n)
	pkt[0] = 0x45
	for size := n - 100; ; size += n {
		var w bplist.Writer
		rec, err := w.Append(frame.Reserve(nil), w.Dict(w.String("identifier"), w.Int(3735928559), w.String("command"), w.Int(8),
			w.String("packets"), w.DataArray([][]byte{pkt[:size]}), w.String("protocols"), w.IntArray([]int64{2})))
		if err != nil {
			tb.Fatal(err)
		}
		if len(rec) == n {
			if err := frame.PutLength(rec, 0); err != nil {
				tb.Fatal(err)
			}
			return rec
		}
		size -= len(rec)
	}
}

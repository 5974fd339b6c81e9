package sniff

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"

	"tundump/capture"
	"tundump/decode"
)

// collector is a tap that tells when a tunnel was closed.
type collector struct {
	events []decode.Event
	closed chan struct{}
}

func (c *collector) Offer(b *capture.Batch) {
	for _, ev := range b.Events {
		ev.Raw = bytes.Clone(ev.Raw)
		c.events = append(c.events, ev)
		if ev.Kind == decode.Closed {
			close(c.closed)
		}
	}
}

// A tunnel over loopback is seen from its beginning to its end.
func TestLive(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := uint16(ln.Addr().(*net.TCPAddr).Port)
	l, err := Listen("lo", Options{Ports: []uint16{port}})
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs CAP_NET_RAW: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	tap := &collector{closed: make(chan struct{})}
	ran := make(chan error)
	go func() { ran <- l.Run(ctx, tap) }()

	rec := suspend(t, 1)
	done := make(chan error)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		_, werr := c.Write(bytes.Repeat(rec, 3))
		_, rerr := io.Copy(io.Discard, c)
		done <- errors.Join(werr, rerr, c.Close())
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 3*len(rec))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	<-tap.closed
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if got := kinds(tap.events); got != "opened> record< record< record< half-closed> half-closed< closed>" {
		t.Errorf("%s", got)
	}
	st := l.Stats()
	if st.Received == 0 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestNoInterface(t *testing.T) {
	if _, err := Listen("no-such-if0", Options{}); err == nil || !strings.Contains(err.Error(), "no-such-if0") {
		t.Errorf("%v", err)
	}
}

// The kernel's filter lets through what may belong to a tunnel, and little
// else.
func TestFilter(t *testing.T) {
	rec := suspend(t, 1)
	v4 := ipv4(8890, 50000, 1, rec)
	udp := bytes.Clone(v4)
	udp[9] = 17
	fragment := bytes.Clone(v4)
	fragment[7] = 10
	v6 := append(make([]byte, 40), v4[20:]...)
	v6[0], v6[6] = 0x60, 6
	extended := bytes.Clone(v6)
	extended[6] = 44
	options := append(append(bytes.Clone(v4[:20]), 1, 1, 1, 1), v4[20:]...)
	options[0] = 0x46
	many := make([]uint16, 300)
	for i := range many {
		many[i] = uint16(i + 1)
	}
	for _, tt := range []struct {
		name  string
		b     []byte
		ports []uint16
		want  bool
	}{
		{"any TCP", v4, nil, true},
		{"no TCP", udp, nil, false},
		{"any TCP over IPv6", v6, nil, true},
		{"source", v4, []uint16{1, 8890}, true},
		{"destination", v4, []uint16{50000}, true},
		{"another port", v4, []uint16{8891}, false},
		{"behind options", options, []uint16{8890}, true},
		{"another behind options", options, []uint16{8891}, false},
		{"fragment", fragment, []uint16{8891}, true},
		{"IPv6", v6, []uint16{50000}, true},
		{"IPv6, another port", v6, []uint16{50001}, false},
		{"IPv6 with extensions", extended, []uint16{50001}, true},
		{"no IP", []byte{0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil, false},
		{"many ports", v4, append(many, 8890), true},
		{"many other ports", v4, many, false},
		{"nothing", nil, nil, false},
	} {
		vm, err := bpf.NewVM(program(Options{Ports: tt.ports}))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		n, err := vm.Run(tt.b)
		if err != nil || n > 0 != tt.want {
			t.Errorf("%s: %d, %v; want %v", tt.name, n, err, tt.want)
		}
	}
}

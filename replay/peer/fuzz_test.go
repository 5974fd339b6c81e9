package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"tundump/decode"
	"tundump/decode/frame"
	"tundump/replay/devicetest"
)

// records cuts b into records as a server does.
func records(b []byte, handle func(rec []byte) bool) {
	for {
		n, err := frame.Cut(b, frame.MaxLen)
		if err != nil || n == 0 || !handle(b[:n]) {
			return
		}
		b = b[n:]
	}
}

func seeds(f *testing.F) {
	var e encoder
	var all []byte
	add := func(rec []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, rec...)
		f.Add(append([]byte(nil), rec...))
	}
	add(e.plain(decode.FetchConfiguration, 0))
	add(e.openIP(1))
	add(e.openTCP(2, "example.org", "80", 80))
	add(e.openTCP(2, "example.org", "", 80))
	add(e.openUDP(3))
	add(e.data(2, []byte("hello")))
	add(e.batches(nil, 1, [][]byte{packet4("10.8.0.2", "192.0.2.1", 1)}))
	add(e.plain(decode.Suspend, 2))
	add(e.plain(decode.Resume, 2))
	add(e.close(2, decode.CloseWrite))
	add(e.close(1, decode.CloseAll))
	f.Add(all)
}

// FuzzDecide: what decide asks for can be done, whatever the message and
// whatever the identifier names.
func FuzzDecide(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for k := kindUnknown; k <= kindUDP; k++ {
			records(b, func(rec []byte) bool {
				var m decode.Message
				ok, err := readRecord(&m, rec)
				if err != nil || !ok {
					return err == nil
				}
				s := decide(&m, func(int64) kind { return k })
				switch {
				case s.do == doOpenTCP && (s.host == "" || len(s.host) > maxHost || s.port == 0):
					t.Fatalf("%+v", s)
				case s.do == doDatagram && (k != kindUDP || !s.endpoint.IsValid() || s.endpoint.Port() == 0):
					t.Fatalf("%+v", s)
				case s.do == doData && k != kindTCP, s.do == doPackets && k != kindIP:
					t.Fatalf("%v for %v", s.do, k)
				case (s.do == doClose || s.do == doSuspend || s.do == doResume) && k == kindUnknown:
					t.Fatalf("%v for nothing", s.do)
				case s.do == doRefuse && s.code == decode.ResultSuccess:
					t.Fatalf("%+v", s)
				}
				return true
			})
		}
	})
}

// FuzzServerMachine runs a whole tunnel over any stream: it ends, every
// address comes back, and nothing is left running (TestMain looks).
func FuzzServerMachine(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		dev, far := devicetest.Pipe(1400)
		defer far.Close()
		go func() { // ends with dev
			for {
				if _, err := far.Read([][]byte{make([]byte, 1400)}, []int{0}); err != nil {
					return
				}
			}
		}()
		conf := DefaultConfiguration()
		near, client := net.Pipe()
		go func() { // ends with near
			_, _ = client.Write(b)
			client.Close()
		}()
		go io.Copy(io.Discard, client)
		r := serverState(&Server{Configuration: conf, Device: dev, Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
			if network == "udp" {
				return nil, errors.New("no")
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}})
		tun := newTunnel(r, near)
		tun.run(context.Background())
		if tun.ips != 0 || tun.sockets != 0 || tun.waiting.Load() != 0 || len(r.routes.conns) != 0 {
			t.Fatalf("left: %d IP connections, %d sockets, %d bytes, %d routes", tun.ips, tun.sockets, tun.waiting.Load(), len(r.routes.conns))
		}
		if a, _ := conf.assign(); a.v4 != conf.pool4.start || a.v6 != conf.pool6.start {
			t.Fatal("an address was not given back")
		}
	})
}

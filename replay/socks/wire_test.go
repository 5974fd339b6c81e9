package socks

import (
	"bytes"
	"net/netip"
	"testing"
)

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"))
	f.Add([]byte("\x05\x01\x00\x03\x0bexample.org\x01\xbbGET"))
	f.Add([]byte("\x05\x03\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x35"))
	f.Add([]byte("\x05\x02\x00\x02"))
	f.Add([]byte("\x05\x01\x00\x03\x09127.0.0.1\x00\x50"))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, n, err := parseGreeting(b); n > len(b) || n > maxRequest || n > 0 && err != nil {
			t.Fatalf("greeting: n = %d of %d, %v", n, len(b), err)
		}
		command, to, n, err := parseRequest(b)
		if n == 0 {
			if err == nil && len(b) >= maxRequest {
				t.Fatalf("%d bytes are not enough for a request", len(b))
			}
			return
		}
		if err != nil || n > len(b) || n > maxRequest || command != b[1] {
			t.Fatalf("n = %d of %d, %v", n, len(b), err)
		}
		// What is behind a request changes nothing, less is not enough.
		if _, again, m, err := parseRequest(append(b[:n:n], 0xff)); m != n || again != to || err != nil {
			t.Fatalf("with more behind it: %v, %d, %v", again, m, err)
		}
		for i := range n {
			if _, _, m, err := parseRequest(b[:i]); m != 0 || err != nil {
				t.Fatalf("cut at %d: %d, %v", i, m, err)
			}
		}
		checkDestination(t, to)
	})
}

func FuzzDatagram(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x7f\x00\x00\x01\x00\x35payload"))
	f.Add([]byte("\x00\x00\x01\x01\x7f\x00\x00\x01\x00\x35fragment"))
	f.Add([]byte("\x00\x00\x00\x03\x0bexample.org\x01\xbb"))
	f.Fuzz(func(t *testing.T, b []byte) {
		to, payload, err := parseDatagram(b)
		if err != nil {
			return
		}
		if b[2] != 0 || !bytes.HasSuffix(b, payload) || len(b)-len(payload) > maxHeader {
			t.Fatalf("%d bytes of %d are the payload", len(payload), len(b))
		}
		checkDestination(t, to)
		if to.name != "" {
			return
		}
		// What is written is read again.
		at := netip.AddrPortFrom(to.addr, to.port)
		back, rest, err := parseDatagram(append(appendHeader(nil, at), payload...))
		if err != nil || back != to || !bytes.Equal(rest, payload) {
			t.Fatalf("%v became %v, %v", to, back, err)
		}
	})
}

func checkDestination(t *testing.T, to destination) {
	t.Helper()
	if (to.name != "") == to.addr.IsValid() {
		t.Fatalf("%+v: want either a name or an address", to)
	}
	if to.addr.Is4In6() || to.addr.Zone() != "" || len(to.name) > 255 {
		t.Fatalf("%+v", to)
	}
	if i := bytes.IndexFunc([]byte(to.name), func(r rune) bool { return r <= ' ' || r == 0x7f || r == ':' }); i >= 0 {
		t.Fatalf("%q", to.name)
	}
}

package packet_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"tundump/decode/packet"
)

// certificate makes one with crypto/x509, which decode may not import.
func certificate(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(77), NotAfter: time.Now().Add(time.Hour),
		Subject:  pkix.Name{Country: []string{"NL"}, Organization: []string{"Örg"}, CommonName: "inside.example", SerialNumber: "7"},
		DNSNames: []string{"inside.example", "*.other.example"}, EmailAddresses: []string{"a@b.example"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertNames(t *testing.T) {
	der := certificate(t)
	var got []string
	for n := range packet.CertNames(der) {
		if n.Part != packet.CertIssuer {
			got = append(got, string(n.Value))
		}
	}
	slices.Sort(got)
	want := []string{"*.other.example", "7", "NL", "a@b.example", "inside.example", "inside.example", "Örg"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if n := testing.AllocsPerRun(10, func() {
		for range packet.CertNames(der) {
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCertNames(f *testing.F) {
	f.Add(certificate(f))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30})
	f.Fuzz(func(t *testing.T, der []byte) {
		size := 0
		for n := range packet.CertNames(der) {
			size += len(n.Value)
		}
		if size > len(der) {
			t.Fatalf("%d bytes of names in %d", size, len(der))
		}
	})
}

// FuzzHTTPChunks: however a body is cut, it ends at the same byte.
func FuzzHTTPChunks(f *testing.F) {
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nrest"), 3)
	f.Add([]byte("fffffffffffffffff\r\n"), 1)
	f.Add([]byte("1\nx\n0\n\n"), 2)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		if step < 1 {
			return
		}
		var whole, parts packet.HTTPChunks
		n, done, ok := whole.Take(b)
		at, partDone, partOK := 0, false, true
		for rest := b; len(rest) > 0 && !partDone && partOK; {
			piece := rest[:min(step, len(rest))]
			var used int
			used, partDone, partOK = parts.Take(piece)
			at += used
			rest = rest[used:]
		}
		if n != at || done != partDone || ok != partOK {
			t.Fatalf("whole: %d %v %v; in parts: %d %v %v", n, done, ok, at, partDone, partOK)
		}
	})
}

// FuzzUnitsAlone reads a TCP or UDP payload alone, on the ports of each
// protocol.
func FuzzUnitsAlone(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"))
	f.Add([]byte{22, 3, 1, 0, 50, 1, 0, 0, 46, 3, 3})
	f.Add(append([]byte{0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x40, 0x40}, bytes.Repeat([]byte{7}, 80)...))
	f.Add([]byte{0x80, 0, 0, 0, 0, 1, 9, 255, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := packet.NewParser()
		for _, port := range []int{80, 443} {
			for _, pkt := range [][]byte{ip4(6, seg{src: 40000, dst: port, payload: string(b)}.bytes()), ip4(17, udp(40000, port, b))} {
				everything(t, p, pkt)
				var facts packet.Facts
				p.Facts(pkt, &facts)
				for _, u := range p.PDUs(&facts) {
					if len(u.Data) > len(b) || u.Len < 0 || len(u.Clear) > len(b) || len(u.Handshake) > len(b) {
						t.Fatalf("%+v of %d bytes", u, len(b))
					}
					for m := range u.TLSMessages() {
						h, _ := packet.TLSHelloOf(m)
						h.ServerName()
						for range h.ALPN() {
						}
						for der := range packet.TLSCertificates(m) {
							for range packet.CertNames(der) {
							}
						}
					}
				}
			}
		}
	})
}

package flow_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tundump/decode/flow"
	"tundump/decode/packet"
)

// spoken is what two ends said, in the order in which it was written.
type spoken struct {
	back bool
	data []byte
}

// tap notes what is written to a connection.
type tap struct {
	net.Conn
	back bool
	said func(spoken)
}

func (c tap) Write(b []byte) (int, error) {
	c.said(spoken{c.back, bytes.Clone(b)})
	return c.Conn.Write(b)
}

// tlsTalk has two ends of crypto/tls speak to each other.
func tlsTalk(t testing.TB, version uint16) []spoken {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{Country: []string{"NL"}, Organization: []string{"Örg"}, CommonName: "inside.example"},
		DNSNames: []string{"inside.example", "other.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []spoken
	note := func(s spoken) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
	}
	a, b := net.Pipe()
	client := tls.Client(tap{a, false, note}, &tls.Config{ServerName: "inside.example", InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
	server := tls.Server(tap{b, true, note}, &tls.Config{MaxVersion: version, NextProtos: []string{"http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, server)
		if err == nil {
			_, err = server.Write(bytes.Repeat([]byte("answer"), 5000))
		}
		server.Close()
		done <- err
	}()
	if _, err := client.Write(bytes.Repeat([]byte("question"), 4000)); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, client); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	client.Close()
	return all
}

// segments cuts what was said into segments of random sizes, between a
// handshake and two FINs.
func segments(talk []spoken, server uint16, r *mathrand.Rand) []seg {
	const first = 1000
	next := [2]uint32{first, first}
	segs := []seg{{flags: packet.SYN, seq: first - 1}, {back: true, flags: packet.SYN | packet.ACK, seq: first - 1, ack: first}}
	for _, s := range talk {
		from, to := 0, 1
		if s.back {
			from, to = 1, 0
		}
		for b := s.data; len(b) > 0; {
			n := min(len(b), 1+r.IntN(1400))
			if r.IntN(4) == 0 {
				n = min(len(b), 1+r.IntN(8))
			}
			segs = append(segs, seg{back: s.back, flags: packet.ACK, seq: next[from], ack: next[to], data: b[:n]})
			next[from] += uint32(n)
			b = b[n:]
		}
	}
	segs = append(segs, seg{flags: packet.ACK | packet.FIN, seq: next[0], ack: next[1]}, seg{back: true, flags: packet.ACK | packet.FIN, seq: next[1], ack: next[0] + 1})
	for i := range segs {
		segs[i].win, segs[i].server, segs[i].at = 60000, server, int64(i)*100
	}
	return segs
}

// says reads segments and returns what each side's units are, in tshark's
// words and with their lengths.
func says(t testing.TB, table *flow.Table, segs []seg) (sides [2][]string) {
	t.Helper()
	p := packet.NewParser()
	for i, s := range segs {
		var f packet.Facts
		var a flow.Analysis
		pkt := s.packet()
		p.Facts(pkt.Data, &f)
		table.Packet(flow.Packet{Tunnel: 1, Number: int64(i) + 1, Time: pkt.Time, Facts: &f}, &a)
		for _, u := range a.PDUs {
			side := 0
			if s.back {
				side = 1
			}
			sides[side] = append(sides[side], fmt.Sprintf("%s %d %s", u.Column(), u.Len, p.AppendPDUs(nil, 0, []packet.PDU{u})))
		}
	}
	return sides
}

// However a stream is cut into segments, and in whatever order they come, the
// same units end in it.
func TestTLSUnits(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		talk := tlsTalk(t, version)
		r := mathrand.New(mathrand.NewPCG(1, uint64(version)))
		var want [2][]string
		for round := range 60 {
			segs := segments(talk, 443, r)
			if round > 20 {
				shuffle(segs[2:], r)
			}
			table := flow.New(flow.Options{})
			got := says(t, table, segs)
			if round == 0 {
				want = got
				checkTLS(t, version, got)
			}
			for side := range got {
				if !slices.Equal(got[side], want[side]) {
					t.Fatalf("round %d, side %d: %q, first it was %q", round, side, got[side], want[side])
				}
			}
			if name := table.Name(1, server4); name != "inside.example" {
				t.Fatalf("the server's name is %q", name)
			}
		}
	}
}

func checkTLS(t *testing.T, version uint16, sides [2][]string) {
	t.Helper()
	want := [2][]string{
		{"Client Hello", "Client Key Exchange", "Change Cipher Spec", "Encrypted Handshake Message", "Application Data", "Encrypted Alert"},
		{"Server Hello", "Certificate", "Server Key Exchange", "Server Hello Done", "Change Cipher Spec", "Application Data"},
	}
	column := "TLSv1.2"
	if version == tls.VersionTLS13 {
		want = [2][]string{{"Client Hello", "Change Cipher Spec", "Application Data"}, {"Server Hello", "Change Cipher Spec", "Application Data"}}
		column = "TLSv1.3"
	}
	for side, list := range want {
		all := strings.Join(sides[side], "\n")
		for _, w := range list {
			if !strings.Contains(all, w) {
				t.Errorf("version %x, side %d: no %q in %q", version, side, w, all)
			}
		}
		if last := sides[side][len(sides[side])-1]; !strings.HasPrefix(last, column+" ") {
			t.Errorf("%q is not %s", last, column)
		}
	}
}

// shuffle changes the order of neighbours, and sends some again. Segments are
// not moved past what answers them: who has an answer has the question.
func shuffle(segs []seg, r *mathrand.Rand) {
	for i := 0; i+1 < len(segs); i++ {
		if segs[i].back == segs[i+1].back && segs[i+1].flags&packet.FIN == 0 && r.IntN(3) == 0 {
			segs[i], segs[i+1] = segs[i+1], segs[i]
		}
	}
}

const httpRequests = "GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n" +
	"POST /b HTTP/1.1\r\nHost: one.example\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n"

func httpTalk() []spoken {
	chunked := "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, n := range []int{1, 4095, 16} {
		chunked += fmt.Sprintf("%x;x=y\r\n%s\r\n", n, strings.Repeat("c", n))
	}
	chunked += "0\r\nTrailer: x\r\n\r\n"
	return []spoken{
		{false, []byte(httpRequests + strings.Repeat("p", 5000))},
		{true, []byte(chunked)},
		{true, []byte("HTTP/1.1 100 Continue\r\n\r\n")},
		{true, []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 3000\r\nContent-Type: IMAGE/PNG\r\n\r\n" + strings.Repeat("n", 3000))},
		{false, []byte("HEAD /c HTTP/1.1\r\n\r\n")},
		{true, []byte("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")},
		{false, []byte("GET /d HTTP/1.1\r\n\r\n")},
		{true, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/css\r\n\r\n" + strings.Repeat("until close", 500))},
	}
}

func TestHTTPUnits(t *testing.T) {
	talk := httpTalk()
	post := strings.Index(httpRequests, "POST")
	want := [2][]string{
		{fmt.Sprintf("HTTP %d GET /a HTTP/1.1 ", post), fmt.Sprintf("HTTP %d POST /b HTTP/1.1  (text/plain)", len(talk[0].data)-post), "HTTP 20 HEAD /c HTTP/1.1 ", "HTTP 19 GET /d HTTP/1.1 "},
		{fmt.Sprintf("HTTP %d HTTP/1.1 200 OK  (text/html)", len(talk[1].data)), "HTTP 25 HTTP/1.1 100 Continue ",
			fmt.Sprintf("HTTP %d HTTP/1.1 404 Not Found  (PNG)", len(talk[3].data)),
			fmt.Sprintf("HTTP %d HTTP/1.1 200 OK ", len(talk[5].data)), fmt.Sprintf("HTTP %d HTTP/1.1 200 OK  (text/css)", len(talk[7].data))},
	}
	r := mathrand.New(mathrand.NewPCG(2, 2))
	for round := range 100 {
		segs := segments(talk, 80, r)
		if round > 30 {
			shuffle(segs[2:], r)
		}
		got := says(t, flow.New(flow.Options{}), segs)
		for side := range got {
			if !slices.Equal(got[side], want[side]) {
				t.Fatalf("round %d, side %d:\n%q, want\n%q", round, side, got[side], want[side])
			}
		}
	}
}

// A gap inside a body changes nothing but the body; one that takes the
// beginning of a unit away costs that unit.
func TestGap(t *testing.T) {
	body := strings.Repeat("b", 4000)
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + body
	next := "HTTP/1.1 204 No Content\r\n\r\n"
	for _, tt := range []struct {
		from, to int
		want     []string
	}{
		{1000, 2000, []string{fmt.Sprintf("HTTP %d HTTP/1.1 200 OK ", len(answer)), "HTTP 27 HTTP/1.1 204 No Content "}},
		{10, 2000, []string{fmt.Sprintf("HTTP %d Continuation", len(answer)-2000), "HTTP 27 HTTP/1.1 204 No Content "}},
	} {
		at := uint32(1000)
		segs := []seg{{flags: packet.SYN, seq: 99}, {back: true, flags: packet.SYN | packet.ACK, seq: at - 1, ack: 100}}
		for _, part := range []string{answer[:tt.from], answer[tt.from:tt.to], answer[tt.to:], next, next} {
			segs = append(segs, seg{back: true, flags: packet.ACK, seq: at, ack: 100, data: []byte(part)})
			at += uint32(len(part))
			segs = append(segs, seg{flags: packet.ACK, seq: 100, ack: at})
		}
		for i := range segs {
			segs[i].win, segs[i].server = 60000, 80
		}
		segs = slices.Delete(segs, 4, 5) // was not captured, but acknowledged
		got := says(t, flow.New(flow.Options{}), segs)[1]
		if !slices.Equal(got[:2], tt.want) {
			t.Errorf("%d to %d: %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
}

// Where a response was not captured, the next one answers the next request.
func TestMissedResponse(t *testing.T) {
	const get, ok = "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"
	k := take(flow.Options{})
	var last flow.Analysis
	for _, s := range []seg{
		{flags: packet.SYN, seq: 99}, {back: true, flags: packet.SYN | packet.ACK, seq: 999, ack: 100},
		{flags: packet.ACK, seq: 100, ack: 1000, data: []byte(get)},
		{flags: packet.ACK, seq: 100 + uint32(len(get)), ack: 1000 + uint32(len(ok)), data: []byte(get)},
		{back: true, flags: packet.ACK, seq: 1000 + uint32(len(ok)), ack: 100 + 2*uint32(len(get)), data: []byte(ok)},
	} {
		s.win, s.server = 60000, 80
		last = k.packet(1, s.packet())
	}
	if last.AnswerTo != 4 || len(last.PDUs) != 1 {
		t.Errorf("%+v", last)
	}
}

// Bodies are not kept, and neither are endless heads and handshakes: a flow
// costs little whatever it carries, and all flows together what was allowed.
func TestBoundedUnits(t *testing.T) {
	const limit = 1 << 18
	table := flow.New(flow.Options{Bytes: limit})
	p := packet.NewParser()
	begin := [][]byte{
		[]byte("GET / HTTP/1.1\r\nX: "),
		{22, 3, 3, 0x40, 0, 11, 0, 0xff, 0xff},
		[]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n"),
	}
	filler := bytes.Repeat([]byte("y"), 1400)
	var f packet.Facts
	var a flow.Analysis
	number := int64(0)
	send := func(s seg) {
		number++
		pkt := s.packet()
		p.Facts(pkt.Data, &f)
		table.Packet(flow.Packet{Number: number, Time: number, Facts: &f}, &a)
	}
	for port := range uint16(300) {
		first := begin[port%3]
		seq := uint32(1)
		send(seg{client: port + 1000, server: 8080 - port%2, flags: packet.ACK, seq: seq, data: first})
		seq += uint32(len(first))
		for range 30 {
			send(seg{client: port + 1000, server: 8080 - port%2, flags: packet.ACK, seq: seq, data: filler})
			seq += uint32(len(filler))
		}
	}
	if kept := table.Kept(); kept > limit+limit/2 {
		t.Errorf("%d bytes are kept, %d were allowed", kept, limit)
	}
	if table.Losses().Units == 0 {
		t.Error("nothing was lost")
	}
}

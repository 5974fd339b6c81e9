package socks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server until the test ends and returns its address.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Dial == nil {
		s.Dial = new(net.Dialer).DialContext
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Serve:", err)
		}
	})
	return ln.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second)) // so that a failure is no hang
	return c.(*net.TCPConn)
}

// ask sends a request and returns the reply's code and address.
func ask(t *testing.T, c net.Conn, command byte, to string) (Code, netip.AddrPort) {
	t.Helper()
	msg := append([]byte{5, 2, 2, 0, 5, command, 0}, address(t, to)...)
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	if _, err := io.ReadFull(c, b); err != nil || !bytes.Equal(b, []byte{5, 0}) {
		t.Fatalf("method % x, %v", b, err)
	}
	return readReply(t, c)
}

func readReply(t *testing.T, c io.Reader) (Code, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 4, 22)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal("reply:", err)
	}
	size := map[byte]int{addrIPv4: 6, addrIPv6: 18}[b[3]]
	b = b[:4+size]
	if _, err := io.ReadFull(c, b[4:]); err != nil || size == 0 || b[0] != 5 || b[2] != 0 {
		t.Fatalf("reply % x, %v", b, err)
	}
	to, _, err := parseDestination(b[3:])
	if err != nil {
		t.Fatal(err)
	}
	return Code(b[1]), netip.AddrPortFrom(to.addr, to.port)
}

// address is host:port as in a request, written without the code under test.
func address(t *testing.T, s string) []byte {
	t.Helper()
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		t.Fatal(err)
	}
	var n uint16
	fmt.Sscan(port, &n)
	b := append([]byte{3, byte(len(host))}, host...)
	if ip := net.ParseIP(host); ip.To4() != nil {
		b = append([]byte{1}, ip.To4()...)
	} else if ip != nil {
		b = append([]byte{4}, ip...)
	}
	return append(b, byte(n>>8), byte(n))
}

// echo answers what it got, once its client has finished.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			c.Write(append([]byte("got "), b...))
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// A half close reaches the other end, and its answer comes back.
func TestConnect(t *testing.T) {
	c := dial(t, serve(t, &Server{}))
	if code, _ := ask(t, c, cmdConnect, echo(t)); code != Succeeded {
		t.Fatal(code)
	}
	big := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() {
		c.Write(big)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "got "+string(big) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// What a client sends without waiting for replies is not lost, however it is
// cut.
func TestEarlyData(t *testing.T) {
	addr, target := serve(t, &Server{}), echo(t)
	msg := append(append([]byte{5, 1, 0, 5, 1, 0}, address(t, target)...), "hello"...)
	for cut := range len(msg) {
		c := dial(t, addr)
		c.SetNoDelay(true)
		c.Write(msg[:cut])
		c.Write(msg[cut:])
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.HasSuffix(got, []byte("got hello")) {
			t.Fatalf("cut at %d: %q, %v", cut, got, err)
		}
	}
}

type noHalfClose struct{ net.Conn }

// Where the other side has no half close, the answer still comes.
func TestNoHalfClose(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := &Server{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return noHalfClose{c}, err
	}, Limits: Limits{Linger: 300 * time.Millisecond}}
	addr := serve(t, s)
	for _, silent := range []bool{false, true} {
		c := dial(t, addr)
		if code, _ := ask(t, c, cmdConnect, ln.Addr().String()); code != Succeeded {
			t.Fatal(code)
		}
		out, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("GET /\r\n"))
		c.CloseWrite()
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "GET /\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		out.Write([]byte("answer"))
		if !silent { // else the server closes after Linger
			out.Close()
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "answer" {
			t.Errorf("silent %v: %q, %v", silent, got, err)
		}
		out.Close()
	}
}

// A connection that breaks on one side breaks on the other.
func TestReset(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := dial(t, serve(t, &Server{}))
	if code, _ := ask(t, c, cmdConnect, ln.Addr().String()); code != Succeeded {
		t.Fatal(code)
	}
	out, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	out.(*net.TCPConn).SetLinger(0)
	out.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func TestReplies(t *testing.T) {
	var failure error
	addr := serve(t, &Server{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, failure }})
	for _, tt := range []struct {
		err  error
		want Code
	}{
		{errors.New("broken"), GeneralFailure},
		{fmt.Errorf("policy: %w", fs.ErrPermission), NotAllowed},
		{syscall.ENETUNREACH, NetworkUnreachable},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, HostUnreachable},
		{&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, HostUnreachable},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), ConnectionRefused},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), TTLExpired},
		{timeout{}, TTLExpired},
		{fmt.Errorf("dial: %w", &Error{HostUnreachable, errors.New("no tunnel")}), HostUnreachable},
	} {
		failure = tt.err
		c := dial(t, addr)
		if code, _ := ask(t, c, cmdConnect, "example.org:80"); code != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, code, tt.want)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v: after the reply %v, want the end", tt.err, err)
		}
	}
}

// What a client asks for reaches Dial as it was asked.
func TestDialAddress(t *testing.T) {
	asked := make(chan string, 1)
	addr := serve(t, &Server{Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		asked <- network + " " + address
		return nil, syscall.ECONNREFUSED
	}})
	for in, want := range map[string]string{
		"example.org:80":       "tcp example.org:80",
		"192.0.2.1:65535":      "tcp 192.0.2.1:65535",
		"[2001:db8::1]:443":    "tcp [2001:db8::1]:443",
		"xn--bcher-kva.test:1": "tcp xn--bcher-kva.test:1",
	} {
		if code, _ := ask(t, dial(t, addr), cmdConnect, in); code != ConnectionRefused {
			t.Errorf("%s: %v", in, code)
		}
		if got := <-asked; got != want {
			t.Errorf("%s: dialled %q, want %q", in, got, want)
		}
	}
}

// Clients that do not keep to the protocol get what it has for them, or the
// end, and cost the others nothing.
func TestNonsense(t *testing.T) {
	addr := serve(t, &Server{Limits: Limits{Handshake: 300 * time.Millisecond}})
	greet := "\x05\x01\x00"
	for name, tt := range map[string]struct{ send, want string }{
		"SOCKS 4":              {"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", ""},
		"HTTP":                 {"CONNECT example.org:443 HTTP/1.1\r\n\r\n", ""},
		"TLS":                  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ""},
		"nothing":              {"", ""},
		"half a greeting":      {"\x05\x05\x00", ""},
		"no method":            {"\x05\x00", "\x05\xff"},
		"only a password":      {"\x05\x01\x02", "\x05\xff"},
		"a greeting alone":     {greet, "\x05\x00"},
		"half a request":       {greet + "\x05\x01\x00\x03\x40exam", "\x05\x00"},
		"another version":      {greet + "\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00"},
		"an address type":      {greet + "\x05\x01\x00\x07\x7f\x00\x00\x01\x00\x50", "\x05\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"},
		"an empty name":        {greet + "\x05\x01\x00\x03\x00\x00\x50", "\x05\x00"},
		"a name with controls": {greet + "\x05\x01\x00\x03\x03a\x1bb\x00\x50", "\x05\x00"},
		"BIND":                 {greet + "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"a command":            {greet + "\x05\x77\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"UDP, which is off":    {greet + "\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, addr)
			c.Write([]byte(tt.send))
			got, err := io.ReadAll(c)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The last of too many clients is closed; one that leaves makes room.
func TestConnectionLimit(t *testing.T) {
	addr, target := serve(t, &Server{Limits: Limits{Connections: 2}}), echo(t)
	var held []*net.TCPConn
	for range 2 {
		c := dial(t, addr)
		if code, _ := ask(t, c, cmdConnect, target); code != Succeeded {
			t.Fatal(code)
		}
		held = append(held, c)
	}
	over := dial(t, addr)
	if _, err := over.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the third client: %v, want the end", err)
	}
	held[0].CloseWrite()
	if got, err := io.ReadAll(held[0]); err != nil || string(got) != "got " {
		t.Errorf("%q, %v", got, err)
	}
	held[0].Close()
	for { // the server sees the end a moment later
		c := dial(t, addr)
		if _, err := c.Write([]byte{5, 1, 0}); err == nil {
			if _, err := c.Read(make([]byte, 2)); err == nil {
				return
			}
		}
	}
}

func TestListenerFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := (&Server{}).Serve(t.Context(), ln); err == nil || !strings.Contains(err.Error(), "socks: accept") {
		t.Error(err)
	}
}

// curl gets a page by name and by address.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page for "+r.Host) }))
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	addr := serve(t, &Server{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		address = strings.Replace(address, "web.test:", "127.0.0.1:", 1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}})
	for _, host := range []string{"web.test", "127.0.0.1"} {
		url := "http://" + net.JoinHostPort(host, port) + "/"
		out, err := exec.Command(curl, "-sS", "--noproxy", "", "--socks5-hostname", addr, url).CombinedOutput()
		if want := "page for " + host + ":" + port; err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", url, out, err)
		}
	}
	out, err := exec.Command(curl, "-sS", "--noproxy", "", "--socks5-hostname", addr, "http://127.0.0.1:1/").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "(5)") { // the reply's code
		t.Errorf("a refused connection: %q, %v", out, err)
	}
}

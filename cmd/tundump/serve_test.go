package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a command of ours that runs in this process.
type program struct {
	stop   context.CancelFunc
	done   chan error
	stdout lockedBuffer
	lines  chan string // of standard error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// waitCount waits until the buffer holds text n times.
func (b *lockedBuffer) waitCount(t *testing.T, text string, n int) {
	t.Helper()
	for strings.Count(b.String(), text) < n {
		select {
		case <-t.Context().Done():
			t.Fatalf("%q did not come %d times", text, n)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{stop: cancel, done: make(chan error, 1), lines: make(chan string, 1000)}
	r, w := io.Pipe()
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	root := command()
	root.SetArgs(args)
	root.SetOut(&p.stdout)
	root.SetErr(w)
	go func() {
		p.done <- root.ExecuteContext(ctx)
		w.Close()
	}()
	return p
}

// wait waits for a line of standard error, and returns what the expression's
// group matched.
func (p *program) wait(t *testing.T, expr string) string {
	t.Helper()
	re := regexp.MustCompile(expr)
	var seen []string
	for line := range p.lines {
		if m := re.FindStringSubmatch(line); m != nil {
			return m[len(m)-1]
		}
		seen = append(seen, line)
	}
	t.Fatalf("no line like %s in:\n%s", expr, strings.Join(seen, "\n"))
	return ""
}

// end ends the program and checks that it went well.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.stop()
	if err := <-p.done; err != nil {
		t.Error(err)
	}
}

// A page is fetched through serve, proxy and connect, as packets and as a
// flow, and the capture has both.
func TestServeProxyConnect(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello through the tunnel") }))
	defer web.Close()
	host, _, _ := net.SplitHostPort(strings.TrimPrefix(web.URL, "http://"))
	limit := host + "/32"
	server := start(t, "serve", "--listen", "127.0.0.1:0", "--allow", limit, "--only", limit, "--log-level", "error")
	addr := server.wait(t, `serving on (\S+)`)
	file := filepath.Join(t.TempDir(), "s.pcapng")
	proxy := start(t, "proxy", "--listen", "127.0.0.1:0", "--upstream", addr, "-w", file)
	through := proxy.wait(t, `listening on (\S+),`)

	for _, args := range [][]string{{}, {"--app-proxy"}, {"--app-proxy", "--integer-port"}} {
		p := start(t, append([]string{"connect", through, "--get", web.URL + "/"}, args...)...)
		p.wait(t, `200 OK, (24 B)`)
		if err := <-p.done; err != nil {
			t.Errorf("connect %v: %v", args, err)
		}
		if got := p.stdout.String(); got != "hello through the tunnel" {
			t.Errorf("connect %v: %q", args, got)
		}
	}
	refused := start(t, "connect", through, "--get", "http://127.0.0.2/") // not in --only
	if err := <-refused.done; err == nil || !strings.Contains(err.Error(), "connection") {
		t.Errorf("an address that is not in --only: %v", err)
	}
	proxy.stop()
	proxy.wait(t, `^(4 tunnels), .* 0 errors`)
	proxy.end(t)
	server.end(t)
	for _, want := range []string{"TCP [SYN]", "Open id=", " tcp " + strings.TrimPrefix(web.URL, "http://"), "Data id="} {
		if !strings.Contains(proxy.stdout.String(), want) {
			t.Errorf("%q was not printed", want)
		}
	}
	read := start(t, "read", file)
	read.wait(t, `^(4 tunnels)`)
	if read.end(t); read.stdout.String() != proxy.stdout.String() {
		t.Error("what was printed live is not what is read afterwards")
	}
}

func TestConnectErrors(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	go func() { // hangs up on whoever comes
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"connect"}, exitUsage, "an argument is missing; write tundump connect HOST:PORT|bonjour:NAME"},
		{[]string{"connect", "nowhere"}, exitUsage, "missing port in address; write HOST:PORT or bonjour:NAME"},
		{[]string{"connect", closed.Addr().String()}, exitFailed, "connection refused; is a server listening there?"},
		{[]string{"connect", mute.Addr().String()}, exitFailed, "the tunnel ended"},
		{[]string{"connect", mute.Addr().String(), "--get", "ftp://x/"}, exitUsage, "not a URL"},
		{[]string{"serve", "--listen", mute.Addr().String()}, exitUsage, "address already in use; choose another with --listen"},
		{[]string{"serve", "--listen", "127.0.0.1:0", "--config", "no.plist"}, exitUsage, "no.plist: no such file"},
		{[]string{"serve", "--listen", "127.0.0.1:0", "--only", "here"}, exitUsage, "--only here: not a network"},
	} {
		var stderr bytes.Buffer
		code := run(tt.args, nil, io.Discard, &stderr)
		if lines := strings.Count(stderr.String(), "\n"); code != tt.code || lines != 1 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: exit code %d, want %d: %s", tt.args, code, tt.code, stderr.String())
		}
	}
}

// An upstream that refuses costs its client the connection, and nobody else
// anything.
func TestUpstreamRefused(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	p := start(t, "proxy", "--listen", "127.0.0.1:0", "--upstream", closed.Addr().String())
	addr := p.wait(t, `listening on (\S+),`)
	for i := range 3 {
		c, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNRESET) {
			continue // the reset was faster
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("client %d read something", i)
		}
		c.Close()
	}
	p.stdout.waitCount(t, "upstream refused: connection refused", 3)
	p.end(t)
}

func TestServeConfigurationErrors(t *testing.T) {
	plist := func(pool string) string {
		return `<plist version="1.0"><dict><key>IPv4</key><dict>` + pool + `</dict></dict></plist>`
	}
	ends := func(a, b string) string {
		return fmt.Sprintf(`<key>Pool</key><dict><key>StartAddress</key><string>%s</string><key>EndAddress</key><string>%s</string></dict>`, a, b)
	}
	for name, text := range map[string]string{
		"no pool":             plist(""),
		"end before start":    plist(ends("10.0.0.9", "10.0.0.2")),
		"no address":          plist(ends("10.0.0", "10.0.0.2")),
		"two networks":        plist(ends("10.0.0.2", "10.1.0.2")),
		"empty pool":          plist(ends("10.0.0.2", "10.0.0.2")),
		"not a property list": "hello world",
		"nothing":             "",
	} {
		file := filepath.Join(t.TempDir(), "c.plist")
		writeFile(t, file, text)
		var stderr bytes.Buffer
		code := run([]string{"serve", "--listen", "127.0.0.1:0", "--config", file}, nil, io.Discard, &stderr)
		if code != exitUsage || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), file) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr.String())
		}
		t.Log(strings.TrimSpace(stderr.String()))
	}
}

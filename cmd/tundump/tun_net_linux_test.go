package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// lab is four hosts in a row, phone, proxy, server and internet, each in a
// network namespace, that have no link to this machine's network:
//
//	phone 10.1.0.2 - 10.1.0.1 proxy 10.2.0.1 - 10.2.0.2 server 10.3.0.1 - 10.3.0.2 internet
//
// and the same in IPv6, 2001:db8:1::2 and so on. The internet knows no way
// back to the phone.
type lab struct {
	prefix  string
	program string // the real one, built once
	run     string // what is mounted on /run for everything in the lab
}

const (
	internet4 = "10.3.0.2"
	internet6 = "2001:db8:3::2"
)

var hosts = []string{"phone", "proxy", "server", "internet"}

// needLab skips where there can be none, and builds the program.
func needLab(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	for _, tool := range []string{"ip", "nft", "ping", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("no TUN in this kernel:", err)
	}
	return buildProgram(t)
}

func newLab(t *testing.T, program string) *lab {
	t.Helper()
	l := &lab{prefix: fmt.Sprintf("tdt%d-%d-", os.Getpid(), time.Now().UnixNano()%1e6), program: program, run: t.TempDir()}
	writeFile(t, filepath.Join(l.run, "resolv.conf"), "nameserver "+internet4+"\n")
	for _, h := range hosts {
		l.must(t, "ip", "netns", "add", l.prefix+h)
		t.Cleanup(func() { l.must(t, "ip", "netns", "del", l.prefix+h) })
		l.on(t, h, "ip", "link", "set", "lo", "up")
	}
	for i, left := range hosts[:3] {
		right := hosts[i+1]
		l.must(t, "ip", "link", "add", "v"+right, "netns", l.prefix+left, "type", "veth", "peer", "name", "v"+left, "netns", l.prefix+right)
		a, b := 2-min(i, 1), 1+min(i, 1) // the phone's end is .2, the others' left one .1
		for _, e := range []struct {
			host, dev string
			last      int
		}{{left, "v" + right, a}, {right, "v" + left, b}} {
			// Without link-local addresses, whose state changes by itself.
			l.on(t, e.host, "ip", "link", "set", e.dev, "addrgenmode", "none")
			l.on(t, e.host, "ip", "addr", "add", fmt.Sprintf("10.%d.0.%d/24", i+1, e.last), "dev", e.dev)
			l.on(t, e.host, "ip", "addr", "add", fmt.Sprintf("2001:db8:%d::%d/64", i+1, e.last), "dev", e.dev, "nodad")
			l.on(t, e.host, "ip", "link", "set", e.dev, "up")
		}
	}
	// With the proxy's host as a router there can be a tunnel without it.
	l.on(t, "proxy", "sysctl", "-qw", "net.ipv4.ip_forward=1")
	l.on(t, "phone", "ip", "route", "add", "default", "via", "10.1.0.1")
	l.on(t, "phone", "ip", "route", "add", "default", "via", "2001:db8:1::1")
	l.on(t, "server", "ip", "route", "add", "10.1.0.0/24", "via", "10.2.0.1")
	// The kernel takes its time over links that came up.
	for deadline := time.Now().Add(10 * time.Second); !linksUp(l.state(t, "phone"), 1) || !linksUp(l.state(t, "server"), 2); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the links do not come up")
		}
	}
	return l
}

// linksUp reports whether all links are up and all addresses usable.
func linksUp(state string, links int) bool {
	return !strings.Contains(state, "NO-CARRIER") && !strings.Contains(state, "linkdown") && !strings.Contains(state, "state DOWN") &&
		strings.Count(state, "\nlocal 2001:db8:") >= links
}

func (l *lab) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// on runs a command on a host.
func (l *lab) on(t *testing.T, host string, args ...string) string {
	t.Helper()
	return l.must(t, "ip", append([]string{"netns", "exec", l.prefix + host}, args...)...)
}

// state is what a program could leave behind on a host.
func (l *lab) state(t *testing.T, host string) string {
	t.Helper()
	var b strings.Builder
	for _, cmd := range []string{
		"ip -o link", "ip -o addr", "ip route show table all", "ip -6 route show table all", "nft list ruleset",
		"sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding",
	} {
		for line := range strings.Lines(l.on(t, host, strings.Fields(cmd)...)) {
			line, _, _ = strings.Cut(line, " expires ")
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	files, err := filepath.Glob(filepath.Join(l.run, "tundump", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + strings.Join(files, "\n")
}

// states is the state of the hosts that run our programs.
func (l *lab) states(t *testing.T) string { return l.state(t, "phone") + l.state(t, "server") }

// same compares states.
func same(t *testing.T, before, after string) {
	t.Helper()
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("gone: %s", line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("left: %s", line)
		}
	}
}

// process is a program of ours on a host.
type process struct {
	*program
	cmd *exec.Cmd
}

// start starts our program on a host.
func (l *lab) start(t *testing.T, host string, args ...string) *process {
	t.Helper()
	return l.launch(t, host, append([]string{l.program}, args...)...)
}

// launch starts any program on a host.
func (l *lab) launch(t *testing.T, host string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.prefix + host, "sh", "-c", `mount --bind "$0" /run && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"`, l.run}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, program: &program{
		done: make(chan error, 1), lines: make(chan string, 10000),
		stop: func() { _ = cmd.Process.Signal(os.Interrupt) }, // it may have ended
	}}
	cmd.Stdout = &p.stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		p.done <- cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// fails waits for a program that must fail, with one line that says so.
func (p *process) fails(t *testing.T, code int, says string) {
	t.Helper()
	var ours []string
	for line := range p.lines {
		if strings.HasPrefix(line, "tundump: ") && !strings.Contains(line, "connected: device") && !strings.Contains(line, "the system's DNS") {
			ours = append(ours, line)
		}
	}
	exit := (*exec.ExitError)(nil)
	if err := <-p.done; !errors.As(err, &exit) || exit.ExitCode() != code || len(ours) != 1 || !strings.Contains(ours[0], says) {
		t.Errorf("%v: %v, want exit code %d and one line with %q:\n%s", p.cmd.Args[7:], err, code, says, strings.Join(ours, "\n"))
	}
}

// in calls f in a host's namespace. What f opens stays there.
func in[T any](t *testing.T, l *lab, host string, f func() (T, error)) T {
	t.Helper()
	v, err := within(l, host, f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// within is in for any goroutine.
func within[T any](l *lab, host string, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	ch := make(chan result)
	go func() {
		// The thread is not unlocked, and ends with the goroutine.
		runtime.LockOSThread()
		ns, err := os.Open("/run/netns/" + l.prefix + host)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		r := result{err: err}
		if err == nil {
			r.v, r.err = f()
		}
		ch <- r
	}()
	r := <-ch
	return r.v, r.err
}

const page = "hello from the internet"

// services starts web and name servers on a host. web.test is the host.
func (l *lab) services(t *testing.T, host string) {
	t.Helper()
	for _, addr := range []string{internet4, internet6} {
		ln := in(t, l, host, func() (net.Listener, error) { return net.Listen("tcp", net.JoinHostPort(addr, "80")) })
		web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) })}
		go web.Serve(ln) // until Close
		t.Cleanup(func() { web.Close() })
	}
	dns := in(t, l, host, func() (net.PacketConn, error) { return net.ListenPacket("udp", internet4+":53") })
	streams := in(t, l, host, func() (net.Listener, error) { return net.Listen("tcp", internet4+":53") })
	t.Cleanup(func() { dns.Close(); streams.Close() })
	go func() { // until Close
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			go answerStream(conn) // until it has answered, or the other end closes
		}
	}()
	go func() { // until Close
		buf := make([]byte, 1500)
		for {
			n, from, err := dns.ReadFrom(buf)
			if err != nil {
				return
			}
			if b, err := answerWebTest(buf[:n]); err == nil {
				_, _ = dns.WriteTo(b, from) // the test misses an answer that is lost
			}
		}
	}()
}

// answerStream answers one query.
func answerStream(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1500)
	n, err := io.ReadAtLeast(conn, buf, 14)
	if err != nil {
		return
	}
	if b, err := answerWebTest(buf[2:n]); err == nil {
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)) // the test misses it
	}
}

func answerWebTest(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA && q.Name.String() == "web.test." {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(internet4).As4()},
			})
		}
	}
	return m.Pack()
}

// dialFrom connects from a host. The address is numeric.
func (l *lab) dialFrom(host, network, addr string) (net.Conn, error) {
	return within(l, host, func() (net.Conn, error) {
		return (&net.Dialer{Timeout: 10 * time.Second}).Dial(network, addr)
	})
}

// lookUp asks a name server from a host.
func (l *lab) lookUp(t *testing.T, host, network, server, name string) string {
	t.Helper()
	r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return l.dialFrom(host, network, net.JoinHostPort(server, "53"))
	}}
	addrs, err := r.LookupNetIP(t.Context(), "ip4", name)
	if err != nil || len(addrs) != 1 {
		t.Errorf("%s at %s: %v %v", name, server, addrs, err)
		return ""
	}
	return addrs[0].String()
}

// fetch gets the page from a host.
func (l *lab) fetch(t *testing.T, host, addr string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, network, a string) (net.Conn, error) {
		return l.dialFrom(host, network, a)
	}}
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get("http://" + net.JoinHostPort(addr, "80") + "/")
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != page {
		t.Errorf("%s: %q %v", addr, b, err)
	}
}

// status reads a field of a process.
func (p *process) status(t *testing.T, field string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("\n"+field+":"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.Join(strings.Fields(string(line)), " ")
}

// killed kills the processes so that they can do nothing about it, and waits.
// One may have ended because of another.
func killed(ps ...*process) {
	for _, p := range ps {
		p.kill()
	}
	for _, p := range ps {
		<-p.done
	}
}

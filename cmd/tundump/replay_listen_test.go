package main

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tundump/capture/judge"
	"tundump/replay/netstack"
	"tundump/replay/peer"
)

// A recording is the server that it was taken from, for our own client: pages
// over packets and app-proxy flows, names among them.
func TestReplayListen(t *testing.T) {
	world := startBackend(t, "")
	file := filepath.Join(t.TempDir(), "session.pcapng")
	proxy := start(t, "proxy", "--listen", "127.0.0.1:0", "--upstream", world.serve(t), "-q", "-w", file)
	through := proxy.wait(t, `listening on (\S+),`)
	fetchPages := func(server string) {
		t.Helper()
		for _, args := range [][]string{{"http://host7.test/"}, {"http://host7.test/", "--app-proxy"}} {
			p := start(t, append([]string{"connect", server, "--get"}, args...)...)
			p.wait(t, `(200 OK)`)
			if err := <-p.done; err != nil || p.stdout.String() != demoPage {
				t.Errorf("connect %v: %v: %q", args, err, p.stdout.String())
			}
		}
	}
	fetchPages(through)
	proxy.end(t)

	again := filepath.Join(t.TempDir(), "again.pcapng")
	recorded := start(t, "replay", file, "--listen", "127.0.0.1:0", "-w", again)
	addr := recorded.wait(t, `as a server on (\S+):`)
	fetchPages(addr)
	recorded.end(t) // the verdict: nothing was otherwise
	if out := recorded.stdout.String(); !strings.Contains(out, "connections  2, 2 as recorded") || !strings.Contains(out, "not asked    0 of") {
		t.Error(out)
	}
	if out, err := diffed(t, file, again); err != nil {
		t.Errorf("diff: %v\n%s", err, out)
	}

	t.Run("Unmatched", func(t *testing.T) {
		for how, want := range map[string]string{"rst": "refused", "icmp": "refused", "forward:" + world.web.Addr().String(): ""} {
			recorded := start(t, "replay", file, "--listen", "127.0.0.1:0", "--unmatched", how, "--once", "--address", "10.8.7.7")
			addr := recorded.wait(t, `as a server on (\S+):`)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			c := peer.NewClient(conn, peer.ClientConfig{})
			assigned, err := c.Open(ctx)
			if err != nil || assigned.Addresses[0] != netip.MustParsePrefix("10.8.7.7/32") {
				t.Fatal(assigned, err)
			}
			phone, err := netstack.New(netstack.Config{Addresses: assigned.Addresses})
			if err != nil {
				t.Fatal(err)
			}
			carried := make(chan error, 1)
			go func() { carried <- c.Carry(ctx, phone) }() // until the client is closed
			r := requester{dial: phone.DialContext}
			if a, err := r.lookup(ctx, "10.8.0.1:53", "HOST7.test", dnsmessage.TypeA); err != nil || len(a) != 1 {
				t.Error(a, err)
			}
			_, err = r.page(ctx, "203.0.113.9") // nobody went there
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v", how, err)
			}
			c.Close()
			<-carried
			cancel()
			if err := <-recorded.done; exitCode(err) != 1 || !strings.Contains(err.Error(), "1 not in the recording") {
				t.Errorf("%s: exit %d: %v", how, exitCode(err), err)
			}
		}
	})
}

// The independent client does not notice that the independent server is a
// recording.
func TestReplayListenIndependentClient(t *testing.T) {
	python := func(args ...string) *exec.Cmd { return judge.Python(t.Context(), t, "stpeer.py", args...) }
	server := python("server", "--listen", "127.0.0.1:0", "--live")
	pipe, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	port := strings.TrimSuffix(regexp.MustCompile(`\d+\)`).FindString(line), ")")
	file := filepath.Join(t.TempDir(), "session.pcapng")
	proxy := start(t, "proxy", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:"+port, "-q", "-w", file)
	through := proxy.wait(t, `listening on (\S+),`)
	if out, err := python("client", "--connect", through, "--live").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	proxy.end(t)
	recorded := start(t, "replay", file, "--listen", "127.0.0.1:0", "--once")
	addr := recorded.wait(t, `as a server on (\S+):`)
	if out, err := python("client", "--connect", addr, "--live").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := <-recorded.done; err != nil {
		t.Errorf("%v\n%s", err, recorded.stdout.String())
	}
}

// What a recorded server cannot be made of, and a client that talks nonsense.
func TestReplayListenBadInput(t *testing.T) {
	world := startBackend(t, "")
	file := recordThrough(t, world.serve(t), false, useEchoes)
	bare := filepath.Join(t.TempDir(), "bare.pcapng")
	if p := start(t, "export", file, "-w", bare); <-p.done != nil {
		t.Fatal("export failed")
	}
	for want, args := range map[string][]string{
		"has no configuration that a client could be given": {bare, "--listen", "127.0.0.1:0"},
		"there is ignore, rst, icmp and forward:HOST:PORT":  {file, "--listen", "127.0.0.1:0", "--unmatched", "nope"},
		"write forward:HOST:PORT":                           {file, "--listen", "127.0.0.1:0", "--unmatched", "forward:nowhere"},
		"different ways: choose one":                        {file, "--listen", "127.0.0.1:0", "--netstack"},
		"go with --listen":                                  {file, "--netstack", "--once"},
		"--address x: write":                                {file, "--listen", "127.0.0.1:0", "--address", "x"},
	} {
		p := start(t, append([]string{"replay"}, args...)...)
		if err := <-p.done; exitCode(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: exit %d: %v", args, exitCode(err), err)
		}
	}
	recorded := start(t, "replay", file, "--listen", "127.0.0.1:0", "--once")
	conn, err := net.Dial("tcp", recorded.wait(t, `as a server on (\S+):`))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := <-recorded.done; exitCode(err) != 1 || !strings.Contains(err.Error(), "no client asked for anything") {
		t.Errorf("exit %d: %v", exitCode(err), err)
	}
}

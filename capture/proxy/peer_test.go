package proxy

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tundump/capture/intercept"
	"tundump/capture/judge"
)

// chaos is what stands for all hostile behaviour where there is no time for
// it. All of it, forty minutes, runs with TUNDUMP_CHAOS=all.
const chaos = "two-bytes-of-length-then-pause,half-close-mid-payload,rst-mid-length,binary-garbage-1MB"

// TestIndependentPeer lets a SimpleTunnel server and client that share no
// code with this project talk, and misbehave, through the proxy; they compare
// what one sent with what the other received.
func TestIndependentPeer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	names, count := chaos, map[string]int{}
	if os.Getenv("TUNDUMP_CHAOS") == "all" {
		names = "all"
	}
	for _, role := range []string{"client", "server"} {
		count[role] = strings.Count(names, ",") + 1
		if names == "all" {
			count[role] = casesOf(t, role)
		}
	}
	for _, test := range []struct {
		name           string
		server, client []string
		n              int
		mode           string // with or without an interceptor, if there is no time for both
	}{
		{"live", []string{"--live", "--suspend-every", "60000"}, []string{"--live"}, 1, "intercepted"},
		{"live, first dialect", []string{"--live", "--dialect", "apple"}, []string{"--live", "--dialect", "apple"}, 1, "passed on"},
		{"chaos client", []string{"--live"}, []string{"--chaos", names}, count["client"], "passed on"},
		{"chaos server", []string{"--chaos", names}, []string{"--live", "--timeout", "1"}, count["server"], "intercepted"},
	} {
		for _, mode := range []struct {
			name  string
			chain intercept.Interceptor
		}{{"passed on", nil}, {"intercepted", passAll{}}} {
			if names == chaos && mode.name != test.mode {
				continue
			}
			t.Run(test.name+", "+mode.name, func(t *testing.T) {
				peers(t, test.server, test.client, test.n, mode.chain)
			})
		}
	}
}

func peers(t *testing.T, server, client []string, n int, chain intercept.Interceptor) {
	dir := t.TempDir()
	slog, clog := filepath.Join(dir, "server.jsonl"), filepath.Join(dir, "client.jsonl")
	times := strconv.Itoa(n)

	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	srv := judge.Python(ctx, t, "stpeer.py", append([]string{"server", "--listen", "127.0.0.1:0", "--log", slog, "--dump", dir, "--once", times}, server...)...)
	srv.Stderr = os.Stderr
	out, err := srv.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n') // listening on ('127.0.0.1', 34567)
	port := strings.Trim(first[strings.LastIndexByte(first, ' ')+1:], ")\n")
	if err != nil || port == "" {
		t.Fatalf("the server said %q: %v", first, err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = lines.WriteTo(io.Discard)
	}()

	l := start(t, "127.0.0.1", Config{Upstream: "127.0.0.1:" + port, Tap: new(counter)})
	l.SetChain(chain)
	args := append([]string{"client", "--connect", l.addr, "--log", clog, "--dump", dir}, client...)
	if client[0] != "--chaos" {
		args = append(args, "--count", times)
	}
	said, err := judge.Python(ctx, t, "stpeer.py", args...).CombinedOutput()
	if err != nil && server[0] != "--chaos" && client[0] != "--chaos" {
		t.Errorf("the client failed: %v\n%s", err, said)
	}
	<-drained
	if err := srv.Wait(); err != nil {
		t.Errorf("the server failed: %v", err)
	}
	verdict, err := judge.Python(ctx, t, "stpeer.py", "compare", clog, slog).CombinedOutput()
	if want := `{"connections": ` + times + `, "problems": 0}`; err != nil || !strings.Contains(string(verdict), want) {
		t.Errorf("the comparison failed: %v\n%s", err, verdict)
	}
}

// casesOf counts the cases that the peer has for a role.
func casesOf(t *testing.T, role string) int {
	t.Helper()
	list, err := judge.Python(t.Context(), t, "stpeer.py", "chaos-list").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(list)) {
		if who, _, _ := strings.Cut(line, " "); who == role || who == "both" {
			n++
		}
	}
	return n
}

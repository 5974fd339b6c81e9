package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// namespace is set in the process that TestBonjour starts in namespaces of its
// own.
const namespace = "TUNDUMP_TEST_NAMESPACE"

// avahiNetwork makes a network of two hosts without a way out, and runs avahi
// on the other one: 10.9.0.2. Everything in it ends with the shell, the first
// process of its process namespace.
const avahiNetwork = `
mount -t tmpfs none /run
ip link set lo up
unshare -n sleep 1000 &
other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
ip link add one type veth peer name two
ip link set two netns $other
ip addr add 10.9.0.1/24 dev one
ip link set one up
nsenter -t $other -n sh -ec 'ip addr add 10.9.0.2/24 dev two; ip link set two up; ip link set lo up'
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/bus
dbus-daemon --config-file="$1/dbus.conf" --fork --nopidfile
nsenter -t $other -n avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "$1/avahi.conf" >"$1/avahi.log" 2>&1 &
avahi=$!
until avahi-browse -at >/dev/null 2>&1; do kill -0 $avahi; sleep 0.05; done
"$0" -test.run '^TestBonjour$' -test.v
`

const (
	dbusConf = `<busconfig><type>system</type><listen>unix:path=/run/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>`
	avahiConf = "[server]\nhost-name=other\n[publish]\npublish-workstation=no\n"
)

// TestBonjour announces to avahi and finds what avahi announces.
func TestBonjour(t *testing.T) {
	if os.Getenv(namespace) != "" {
		t.Run("announced", avahiSeesServe)
		t.Run("found", avahiIsFound)
		return
	}
	for _, tool := range []string{"avahi-daemon", "avahi-browse", "avahi-publish", "avahi-resolve", "dbus-daemon", "nsenter", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	own := []string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if out, err := exec.Command("unshare", append(own, "true")...).CombinedOutput(); err != nil {
		t.Skipf("no namespaces can be made, which needs root on Linux: %v: %s", err, out)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "dbus.conf"), dbusConf)
	writeFile(t, filepath.Join(dir, "avahi.conf"), avahiConf)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append(own, "sh", "-euc", avahiNetwork, os.Args[0], dir)...)
	cmd.Env = append(os.Environ(), namespace+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestBonjour/found")) {
		log, _ := os.ReadFile(filepath.Join(dir, "avahi.log"))
		t.Errorf("%v\n%s\navahi-daemon: %s", err, out, log)
	}
}

// webServer serves a page at our address of the test's network.
func webServer(t *testing.T, page string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "10.9.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) }))
	web.Listener = ln
	web.Start()
	t.Cleanup(web.Close)
	return web.URL + "/"
}

// browse runs avahi-browse until it lists what is wanted, or no longer, and
// returns the resolved service's fields.
func browse(t *testing.T, label string, listed bool) []string {
	t.Helper()
	var out []byte
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		var err error
		if out, err = exec.Command("avahi-browse", "-rpt", "_tunnelserver._tcp").Output(); err != nil {
			t.Fatal(err)
		}
		found := strings.Contains(string(out), ";"+label+";")
		if found == listed && !listed {
			return nil
		}
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(line, ";"); listed && f[0] == "=" && f[2] == "IPv4" && f[3] == label {
				return f
			}
		}
	}
	t.Fatalf("avahi-browse: want %q listed %v:\n%s", label, listed, out)
	return nil
}

func get(t *testing.T, server, url, want string) {
	t.Helper()
	p := start(t, "connect", server, "--get", url)
	p.wait(t, `(200 OK)`)
	if err := <-p.done; err != nil || p.stdout.String() != want {
		t.Errorf("through %s: %q, %v", server, p.stdout.String(), err)
	}
}

func avahiSeesServe(t *testing.T) {
	url := webServer(t, "by name")
	server := start(t, "serve", "--listen", ":0", "--announce", "Ein. Tünnel", "--allow", "10.9.0.0/24", "--only", "10.9.0.0/24")
	addr := server.wait(t, `serving on (\S+)`)
	_, port, _ := net.SplitHostPort(addr)
	const label = `Ein\.\032T\195\188nnel` // as avahi escapes it
	f := browse(t, label, true)
	if f[7] != "10.9.0.1" || f[8] != port {
		t.Errorf("avahi-browse: %q", f)
	}
	out, err := exec.Command("avahi-resolve", "-4", "-n", f[6]).CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "10.9.0.1") {
		t.Errorf("avahi-resolve: %q, %v", out, err)
	}
	get(t, "bonjour:Ein. Tünnel", url, "by name")
	taken := start(t, "proxy", "--listen", ":0", "--upstream", addr, "--announce", "ein. Tünnel")
	if err := <-taken.done; err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("a name that is taken: %v", err)
	}
	server.end(t)
	browse(t, label, false) // its goodbye was heard
}

// Of several services on one host the right one is found, directly and by a
// proxy which is found by name itself.
func avahiIsFound(t *testing.T) {
	url := webServer(t, "found")
	limit := []string{"serve", "--listen", "10.9.0.1:0", "--log-level", "error", "--allow", "10.9.0.0/24", "--only", "10.9.0.0/24"}
	server := start(t, limit...)
	_, port, _ := net.SplitHostPort(server.wait(t, `serving on (\S+)`))
	publish := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "avahi-publish", args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	publish("-a", "third.local", "10.9.0.1")
	publish("-s", "-H", "third.local", "Dead One", "_tunnelserver._tcp", "9")
	publish("-s", "-H", "third.local", "Live v1.2", "_tunnelserver._tcp", port)
	browse(t, `Live\032v1\.2`, true)
	get(t, "bonjour:Live v1.2", url, "found")

	file := filepath.Join(t.TempDir(), "s.pcapng")
	proxy := start(t, "proxy", "--listen", ":0", "--announce", "The Proxy", "--upstream", "bonjour:live V1.2", "-w", file)
	proxy.wait(t, `(listening) on`)
	get(t, "bonjour:The Proxy", url, "found")
	proxy.end(t)
	if read := start(t, "read", file); read.wait(t, `^(1 tunnels?)`) == "" {
		t.Error("the capture does not have the tunnel")
	}
	nobody := start(t, "connect", "bonjour:Nobody", "--get", url)
	want := fmt.Sprintf("nobody answers to %q; there is %q, %q", "Nobody", "Dead One", "Live v1.2")
	if err := <-nobody.done; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a name that nobody has: %v", err)
	}
	server.end(t)
}

func TestBonjourErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"connect", "bonjour:"}, "bonjour: needs the name of a server"},
		{[]string{"proxy", "--upstream", "bonjour:X", "--announce", "x", "--listen", ":0"}, "the proxy would find itself"},
		{[]string{"proxy", "--upstream", "x:1", "--announce", "x", "--listen", "127.0.0.1:0"}, "only this machine reaches 127.0.0.1:"},
		{[]string{"serve", "--announce", "x", "--listen", "[::1]:0"}, "for example with --listen :8890"},
		{[]string{"serve", "--announce", strings.Repeat("x", 64), "--listen", ":0"}, "64 bytes; 63 are possible"},
	} {
		var stderr bytes.Buffer
		code := run(tt.args, nil, io.Discard, &stderr)
		if lines := strings.Count(stderr.String(), "\n"); code != exitUsage || lines != 1 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: exit code %d: %s", tt.args, code, stderr.String())
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTUN runs the real program between hosts that exist only for it.
func TestTUN(t *testing.T) {
	program := needLab(t)
	for name, f := range map[string]func(*testing.T, *lab){
		"ThroughProxy": throughProxy, "Interrupt": interrupt, "Kill": killAndRestart, "Refused": tunRefused,
		"User": dropsPrivileges, "Capability": capabilityAlone, "Pool": poolUsedUp, "SplitRoutes": splitRoutes,
		"IndependentClient": independentClient, "IndependentClientWithoutRoot": independentClientStack, "IndependentServer": independentServer, "NoAddress": noAddress, "DNS": passesDNSOn, "Policy": keepsToPolicy,
	} {
		t.Run(name, func(t *testing.T) { f(t, newLab(t, program)) })
	}
}

const labConfiguration = `<?xml version="1.0"?><plist version="1.0"><dict>
<key>IPv4</key><dict><key>Pool</key><dict><key>StartAddress</key><string>10.8.0.2</string><key>EndAddress</key><string>%s</string></dict>%s</dict>
<key>IPv6</key><dict><key>Pool</key><dict><key>StartAddress</key><string>fd00:8::2</string><key>EndAddress</key><string>fd00:8::100</string></dict></dict>
<key>DNS</key><dict><key>Servers</key><array><string>10.3.0.2</string></array><key>SearchDomains</key><array><string>test</string><string>x; reboot</string></array></dict>
</dict></plist>`

func labConfig(t *testing.T, end, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.plist")
	writeFile(t, file, fmt.Sprintf(labConfiguration, end, more))
	return file
}

// tunnel starts a server and a client of it, both with devices.
func (l *lab) tunnel(t *testing.T, at string, flags ...string) (server, client *process) {
	t.Helper()
	server = l.start(t, "server", append([]string{"serve", "--listen", "10.2.0.2:8890", "--tun", "--nat=apply", "--config", labConfig(t, "10.8.0.100", ""), "--log-level", "warn"}, flags...)...)
	server.wait(t, `serving on (\S+), device tundump0, MTU 1500`)
	client = l.start(t, "phone", append([]string{"connect", at, "--tun"}, flags...)...)
	client.wait(t, `connected: device (tundump0), MTU 1350`)
	return server, client
}

// reaches tries what a phone does with its VPN.
func (l *lab) reaches(t *testing.T) {
	t.Helper()
	for _, to := range []string{internet4, internet6, "10.8.0.1", "fd00:8::1"} {
		l.on(t, "phone", "ping", "-c", "1", "-W", "10", to)
	}
	// The largest packet that the device takes, and one that must be cut up.
	l.on(t, "phone", "ping", "-c", "1", "-W", "10", "-M", "do", "-s", "1322", internet4)
	l.on(t, "phone", "ping", "-c", "1", "-W", "10", "-s", "5000", internet4)
	l.fetch(t, "phone", l.lookUp(t, "phone", "udp", internet4, "web.test"))
	l.fetch(t, "phone", internet6)
}

func (l *lab) proxied(t *testing.T, more ...string) *process {
	t.Helper()
	p := l.start(t, "proxy", append([]string{"proxy", "--listen", "10.1.0.1:8890", "--upstream", "10.2.0.2:8890", "-q"}, more...)...)
	p.wait(t, `listening on (\S+),`)
	return p
}

// Everything works through the proxy, and nothing is
// left of it.
func throughProxy(t *testing.T, l *lab) {
	for _, driver := range []string{driverWater, driverWireGuard} {
		t.Run(driver, func(t *testing.T) { overDriver(t, newLab(t, l.program), driver) })
	}
}

func overDriver(t *testing.T, l *lab, driver string) {
	l.services(t, "internet")
	before := l.states(t)
	proxy := l.proxied(t, "-w", filepath.Join(t.TempDir(), "s.pcapng"))
	server, client := l.tunnel(t, "10.1.0.1:8890", "--tun-driver", driver)
	l.reaches(t)
	if route := l.on(t, "phone", "ip", "route", "get", "10.1.0.1"); !strings.Contains(route, "dev vproxy") {
		t.Error("the way to the server:", route)
	}
	t.Logf("through the recording proxy: %s", l.throughput(t))
	client.end(t)
	server.end(t)
	proxy.end(t)
	same(t, before, l.states(t))
}

// The same without the proxy; the server goes first.
func interrupt(t *testing.T, l *lab) {
	l.services(t, "internet")
	before := l.states(t)
	server, client := l.tunnel(t, "10.2.0.2:8890")
	l.reaches(t)
	t.Logf("without the proxy: %s", l.throughput(t))
	server.end(t)
	client.fails(t, 1, "the tunnel ended")
	same(t, before, l.states(t))
}

// throughput is what iperf3 says.
func (l *lab) throughput(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("iperf3"); err != nil {
		return "iperf3 is not installed"
	}
	var said []string
	for _, way := range [][]string{{"up"}, {"down", "-R"}} {
		p := l.launch(t, "internet", "iperf3", "-s", "-1", "--forceflush")
		p.stdout.waitCount(t, "Server listening", 1)
		out := l.on(t, "phone", append([]string{"iperf3", "-c", internet4, "-t", "2", "-J"}, way[1:]...)...)
		var r struct {
			End struct {
				Received struct {
					Rate float64 `json:"bits_per_second"`
				} `json:"sum_received"`
			} `json:"end"`
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.End.Received.Rate < 1e6 {
			t.Errorf("%v\n%s", err, out)
		}
		said = append(said, fmt.Sprintf("%s %.0f Mbit/s", way[0], r.End.Received.Rate/1e6))
		<-p.done
	}
	return strings.Join(said, ", ")
}

// Devices go with a process that is killed; the rest by the next start.
func killAndRestart(t *testing.T, l *lab) {
	l.services(t, "internet")
	before := l.states(t)
	server, client := l.tunnel(t, "10.2.0.2:8890")
	killed(server, client)
	left := l.states(t)
	if !strings.Contains(left, "tundump_tundump0") || !strings.Contains(left, "net.ipv4.ip_forward = 1") || strings.Contains(left, "tundump0:") {
		t.Fatalf("after the kill:\n%s", left)
	}
	server, client = l.tunnel(t, "10.2.0.2:8890")
	l.reaches(t)
	client.end(t)
	server.end(t)
	same(t, before, l.states(t))
}

// Each is one line, and changes nothing.
func tunRefused(t *testing.T, l *lab) {
	before := l.states(t)
	phone := func(code int, says string, args ...string) {
		t.Helper()
		l.start(t, "phone", args...).fails(t, code, says)
	}
	phone(2, "exists already", "serve", "--tun=vproxy")
	phone(2, "exists already", "serve", "--tun", "vproxy")
	phone(2, "15 is the limit", "serve", "--tun=a-name-that-is-too-long")
	phone(2, "no name for a device", "serve", "--tun=a/b")
	phone(2, "576 to 65535", "serve", "--tun", "--mtu", "9")
	phone(2, "go with --tun", "serve", "--nat")
	phone(2, "--nat=apply", "serve", "--tun", "--nat=all")
	phone(2, "unknown user", "serve", "--tun", "--user", "absent-user")
	phone(1, "cannot reach", "connect", "10.2.0.2:1", "--tun")
	for _, args := range [][]string{{"serve", "--tun"}, {"connect", "10.2.0.2:8890", "--tun"}, {"connect", "--tun", "tun9", "10.2.0.2:8890"}} {
		as := append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", l.program}, args...)
		l.launch(t, "phone", as...).fails(t, 2, "root or CAP_NET_ADMIN")
	}
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--config", labConfig(t, "10.8.0.100", ""))
	server.wait(t, `serving on (\S+),`)
	phone(2, "exists already", "connect", "10.2.0.2:8890", "--tun=vproxy")
	phone(2, "15 is the limit", "connect", "10.2.0.2:8890", "--tun", "a-name-that-is-too-long")
	server.end(t)
	same(t, before, l.states(t))
}

// Included routes replace the default route; one that cannot be set undoes
// all that went before.
func splitRoutes(t *testing.T, l *lab) {
	l.services(t, "internet")
	routes := `<key>Routes</key><array>` +
		`<dict><key>Address</key><string>10.3.0.0</string><key>Netmask</key><string>255.255.255.0</string></dict>` +
		`<dict><key>Address</key><string>127.0.0.0</string><key>Netmask</key><string>255.0.0.0</string></dict>` +
		`<dict><key>Address</key><string>10.55.0.0</string><key>Netmask</key><string>255.255.0.0</string></dict></array>`
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--nat=apply", "--config", labConfig(t, "10.8.0.100", routes))
	server.wait(t, `serving on (\S+),`)
	before := l.state(t, "phone")
	client := l.start(t, "phone", "connect", "10.2.0.2:8890", "--tun", "--mtu", "1280")
	client.wait(t, `(MTU 1280)`)
	if line := client.wait(t, `(resolvectl .*)`); line != "resolvectl dns tundump0 10.3.0.2 && resolvectl domain tundump0 test" {
		t.Error(line)
	}
	during := l.state(t, "phone")
	if strings.Contains(during, "/1 ") || !strings.Contains(during, "10.55.0.0/16 dev tundump0") || strings.Contains(during, "127.0.0.0/8 dev tundump0") {
		t.Errorf("routes:\n%s", during)
	}
	l.fetch(t, "phone", internet4)
	client.end(t)
	same(t, before, l.state(t, "phone"))
	l.on(t, "phone", "ip", "route", "add", "10.55.0.0/16", "dev", "vproxy")
	before = l.state(t, "phone")
	l.start(t, "phone", "connect", "10.2.0.2:8890", "--tun").fails(t, 1, "route 10.55.0.0/16 into tundump0: there is another route for it already; see: ip route; what was set before is undone")
	same(t, before, l.state(t, "phone"))
	server.end(t)
}

// With --user there is no privilege left, and what needs it is undone all the
// same, after a kill too.
func dropsPrivileges(t *testing.T, l *lab) {
	l.services(t, "internet")
	before := l.states(t)
	for _, kill := range []bool{false, true} {
		server, client := l.tunnel(t, "10.2.0.2:8890", "--user", "nobody")
		for _, p := range []*process{server, client} {
			if uid, caps := p.status(t, "Uid"), p.status(t, "CapPrm"); uid != "65534 65534 65534 65534" || strings.Trim(caps, "0") != "" {
				t.Errorf("uid %s, capabilities %s", uid, caps)
			}
		}
		l.reaches(t)
		if kill {
			killed(server, client)
			for deadline := time.Now().Add(10 * time.Second); l.states(t) != before && time.Now().Before(deadline); {
				time.Sleep(10 * time.Millisecond) // another process undoes it
			}
		} else {
			client.end(t)
			server.end(t)
		}
		same(t, before, l.states(t))
	}
}

// CAP_NET_ADMIN is all that it takes, where the device file lets everybody in.
func capabilityAlone(t *testing.T, l *lab) {
	l.services(t, "internet")
	before := l.states(t)
	temp := t.TempDir()
	l.must(t, "chmod", "777", temp, filepath.Dir(temp))
	l.must(t, "mknod", "-m", "666", filepath.Join(temp, "tun"), "c", "10", "200")
	as := func(host string, args ...string) *process {
		return l.launch(t, host, append([]string{"sh", "-c", `mount --bind "$0/tun" /dev/net/tun && export TMPDIR="$0" && exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all,+net_admin --inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin "$@"`, temp, l.program}, args...)...)
	}
	server := as("server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--nat=apply")
	server.wait(t, `serving on (\S+),`)
	client := as("phone", "connect", "10.2.0.2:8890", "--tun")
	client.wait(t, `(connected): device`)
	l.reaches(t)
	client.end(t)
	server.end(t)
	same(t, before, l.states(t))
}

// The second client of a pool of one is refused, and gets the address once the
// first has gone.
func poolUsedUp(t *testing.T, l *lab) {
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--config", labConfig(t, "10.8.0.3", ""))
	server.wait(t, `serving on (\S+),`)
	first := l.start(t, "phone", "connect", "10.2.0.2:8890", "--tun")
	first.wait(t, `(connected): device`)
	before := l.states(t)
	l.start(t, "proxy", "connect", "10.2.0.2:8890", "--tun").fails(t, 1, "refused")
	same(t, before, l.states(t))
	l.on(t, "phone", "ping", "-c", "1", "-W", "10", "10.8.0.1")
	first.end(t)
	server.wait(t, `(tunnel closed)`)
	second := l.start(t, "proxy", "connect", "10.2.0.2:8890", "--tun")
	second.wait(t, `(10.8.0.2)/32`)
	second.wait(t, `(connected): device`)
	second.end(t)
	server.end(t)
}

// Without a configuration the clients' name servers are the server's own
// addresses, which ask this machine's resolver.
func passesDNSOn(t *testing.T, l *lab) {
	l.services(t, "internet")
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--user", "nobody")
	server.wait(t, `serving on (\S+),`)
	client := l.start(t, "phone", "connect", "10.2.0.2:8890", "--tun")
	client.wait(t, `(connected): device`)
	for _, at := range []string{"10.8.0.1", "fd00:8::1"} {
		for _, network := range []string{"udp", "tcp"} {
			if a := l.lookUp(t, "phone", network, at, "web.test"); a != internet4 {
				t.Errorf("%s over %s: %s", at, network, a)
			}
		}
	}
	client.end(t)
	server.end(t)
}

// What the user-space stack refuses its clients does not pass here either.
func keepsToPolicy(t *testing.T, l *lab) {
	l.services(t, "internet")
	server := l.start(t, "server", "serve", "--listen", "10.2.0.2:8890", "--tun", "--nat=apply", "--only", internet6+"/128", "--only", "10.3.0.0/30")
	server.wait(t, `serving on (\S+),`)
	client := l.start(t, "phone", "connect", "10.2.0.2:8890", "--tun")
	client.wait(t, `(connected): device`)
	l.reaches(t)
	for _, to := range []string{"10.2.0.1", "2001:db8:2::1"} {
		ping := exec.Command("ip", "netns", "exec", l.prefix+"phone", "ping", "-c", "1", "-W", "1", to)
		if out, err := ping.CombinedOutput(); err == nil {
			t.Errorf("%s is reached:\n%s", to, out)
		}
	}
	client.end(t)
	server.end(t)
}

package dnssd

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inside is set in the process that TestNetwork starts in a network namespace
// of its own.
const inside = "TUNDUMP_TEST_NAMESPACE"

// TestNetwork runs the tests that need a network in a namespace with two
// interfaces and no way out.
func TestNetwork(t *testing.T) {
	if os.Getenv(inside) == "" {
		if out, err := exec.Command("unshare", "-n", "ip", "link").CombinedOutput(); err != nil {
			t.Skipf("no network namespace can be made, which needs root on Linux: %v: %s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-ec", `
			ip link set lo up
			ip link add one type veth peer name two
			ip addr add 10.9.0.1/24 dev one
			ip addr add 10.9.1.1/24 dev two
			ip link set one up
			ip link set two up
			exec "$0" -test.run '^TestNetwork$' -test.v`, os.Args[0])
		cmd.Env = append(os.Environ(), inside+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	t.Run("announce and find", announceAndFind)
	t.Run("conflict", conflict)
	t.Run("one address", oneAddress)
	t.Run("new address", newAddress)
	t.Run("simple resolver", simpleResolver)
}

func announceNow(t *testing.T, name, addr string) *Announcement {
	t.Helper()
	a, err := Announce(t.Context(), Config{Name: name, Addr: netip.MustParseAddrPort(addr)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func find(t *testing.T, name string, limit time.Duration) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return Find(ctx, name)
}

// Several services of one machine are found, again and again, under any name.
func announceAndFind(t *testing.T) {
	names := map[string]string{"plain": "[::]:1001", "with a dot. And é, \"quotes\" and \\": "0.0.0.0:1002", strings.Repeat("x", 63): "[::]:1003"}
	for name, addr := range names {
		a := announceNow(t, name, addr)
		defer a.Close()
	}
	for range 2 {
		for name, addr := range names {
			got, err := find(t, strings.ToUpper(name[:1])+name[1:], 20*time.Second)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := netip.MustParseAddrPort(addr).Port()
			for _, a := range got {
				if a.Port() != want {
					t.Errorf("%s: found %v, want port %d", name, got, want)
				}
			}
			if first := got[0].Addr().String(); first != "10.9.0.1" && first != "10.9.1.1" {
				t.Errorf("%s: found %v, want an IPv4 address first", name, got)
			}
		}
	}
	_, err := find(t, "nobody", 1500*time.Millisecond)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `there is`) || !strings.Contains(err.Error(), `"plain"`) {
		t.Errorf("a name that nobody has: %v", err)
	}
}

func conflict(t *testing.T) {
	a := announceNow(t, "Taken", "[::]:1001")
	_, err := Announce(t.Context(), Config{Name: "taken", Addr: netip.MustParseAddrPort("[::]:1002")})
	var taken *ConflictError
	if !errors.As(err, &taken) || taken.Port != 1001 {
		t.Errorf("got %v, want a conflict", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	b := announceNow(t, "taken", "[::]:1002") // it is free again
	if got, err := find(t, "Taken", 20*time.Second); err != nil || got[0].Port() != 1002 {
		t.Errorf("found %v, %v", got, err)
	}
	b.Close()
}

// A listener at one address is announced there alone.
func oneAddress(t *testing.T) {
	a := announceNow(t, "one", "10.9.1.1:1001")
	defer a.Close()
	got, err := find(t, "one", 20*time.Second)
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddrPort("10.9.1.1:1001") {
		t.Errorf("found %v, %v", got, err)
	}
}

// An address that comes later is announced, too.
func newAddress(t *testing.T) {
	a := announceNow(t, "moved", "0.0.0.0:1001")
	defer a.Close()
	if out, err := exec.Command("ip", "addr", "add", "10.9.2.1/24", "dev", "one").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !a.changed() || a.changed() {
		t.Error("a new address is not noticed once")
	}
	a.multicast(hostTTL)
	got, err := find(t, "moved", 20*time.Second)
	if err != nil || !slices.Contains(got, netip.MustParseAddrPort("10.9.2.1:1001")) {
		t.Errorf("found %v, %v", got, err)
	}
}

// A resolver that asks from another port is answered alone, with its question
// and short lives.
func simpleResolver(t *testing.T) {
	a := announceNow(t, "simple", "0.0.0.0:1001")
	defer a.Close()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	two, err := net.InterfaceByName("two")
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(c).SetMulticastInterface(two); err != nil {
		t.Fatal(err)
	}
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("_tunnelserver._TCP.local."), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}
	query, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 77}, Questions: []dnsmessage.Question{q}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, maxMessage)
	var n int
	for range 10 { // a datagram may be lost
		if _, err := c.WriteToUDP(query, group4); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		if n, err = c.Read(b); err == nil {
			break
		}
	}
	var m dnsmessage.Message
	if err := m.Unpack(b[:n]); err != nil || m.ID != 77 || !m.Response || len(m.Questions) != 1 || m.Questions[0] != q || len(m.Answers) != 1 {
		t.Fatalf("%v: %s", err, m.GoString())
	}
	for _, r := range slices.Concat(m.Answers, m.Additionals) {
		if r.Header.TTL > legacyTTL || r.Header.Class != dnsmessage.ClassINET {
			t.Errorf("%s", r.Header.GoString())
		}
	}
}

func TestAnnounceErrors(t *testing.T) {
	for _, tt := range []struct{ name, addr, want string }{
		{"", "0.0.0.0:1", "an empty name"},
		{strings.Repeat("x", 64), "0.0.0.0:1", "64 bytes; 63 are possible"},
		{"\xff", "0.0.0.0:1", "not UTF-8"},
		{"a\x1b[2Jb", "0.0.0.0:1", "control characters"},
		{"x", "127.0.0.1:1", "reached by this machine alone"},
		{"x", "192.0.2.77:1", "no network interface"},
	} {
		_, err := Announce(t.Context(), Config{Name: tt.name, Addr: netip.MustParseAddrPort(tt.addr)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %s: %v, want %q", tt.name, tt.addr, err, tt.want)
		}
	}
	if _, err := Find(t.Context(), ""); err == nil {
		t.Error("Find without a name")
	}
}

// A search keeps what belongs together together, and does not grow.
func TestSearch(t *testing.T) {
	want, _ := instanceName("Two")
	other, _ := instanceName("One")
	host, stranger := makeName("Host", "local"), makeName("stranger", "local")
	f := search{want: want.fold(), hosts: make(map[name][]netip.Addr), others: make(map[string]bool)}
	a := netip.MustParseAddr("192.0.2.1")
	f.take(&message{answers: []record{
		{name: other, typ: typeSRV, class: classIN, ttl: 1, target: host, port: 1},
		{name: want, typ: typeSRV, class: classIN, ttl: 0, target: stranger, port: 9}, // a goodbye
		{name: want.fold(), typ: typeSRV, class: classIN | topBit, ttl: 1, target: host, port: 2},
	}, extra: []record{
		{name: host.fold(), typ: typeA, class: classIN, ttl: 1, addr: a},
		{name: host, typ: typeA, class: classIN, ttl: 1, addr: a},
		{name: stranger, typ: typeA, class: classIN, ttl: 1, addr: netip.MustParseAddr("192.0.2.9")},
		{name: host, typ: typeA, class: classIN, ttl: 1, addr: netip.MustParseAddr("224.0.0.1")},
	}}, 0)
	if got := f.found(); len(got) != 1 || got[0] != netip.AddrPortFrom(a, 2) {
		t.Errorf("found %v", got)
	}
	for i := range 10 * maxSeen {
		label := string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		f.take(&message{answers: []record{
			{name: makeName(label, "local"), typ: typeA, class: classIN, ttl: 1, addr: a},
			{name: serviceName, typ: typePTR, class: classIN, ttl: 1, target: makeName(label) + serviceName},
		}}, 0)
	}
	if len(f.hosts) > maxSeen || len(f.others) > maxSeen {
		t.Errorf("%d hosts and %d services are remembered", len(f.hosts), len(f.others))
	}
}

func TestKnownAnswers(t *testing.T) {
	full := record{name: serviceName, typ: typePTR, class: classIN, ttl: otherTTL, target: makeName("x") + serviceName}
	half, old, another := full, full, full
	half.ttl, old.ttl, another.target = otherTTL/2, otherTTL/2-1, makeName("y")+serviceName
	if !knows(half, full) || knows(old, full) || knows(another, full) {
		t.Error("what the asker knows is not told from what it does not")
	}
}

func TestNames(t *testing.T) {
	n := makeName("A.b", "local")
	if n.first() != "A.b" || n.parent() != makeName("local") || n.fold() != makeName("a.b", "local") || name("").first() != "" || name("").parent() != "" {
		t.Errorf("%q", n)
	}
	if !bytes.Equal(appendName(nil, n), []byte("\x03A.b\x05local\x00")) {
		t.Errorf("%q", appendName(nil, n))
	}
}

package tun

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// state is everything that a change could leave behind in this namespace.
func state(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		for _, r := range must(netlink.RouteList(nil, family))(t) {
			fmt.Fprintln(&b, r.Dst, r.Gw, r.LinkIndex, r.Protocol)
		}
		for _, a := range must(netlink.AddrList(nil, family))(t) {
			fmt.Fprintln(&b, a.IPNet, a.Label)
		}
	}
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		fmt.Fprintln(&b, name, must(readSysctl(name))(t))
	}
	if nft, err := exec.LookPath("nft"); err == nil {
		b.Write(must(exec.Command(nft, "list", "ruleset").Output())(t))
	}
	for _, e := range must(os.ReadDir(must(stateDir())(t)))(t) {
		fmt.Fprintln(&b, e.Name())
	}
	return b.String()
}

func needNFT(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("no nft:", err)
	}
}

// uplink gives the namespace a way out: 192.0.2.0/24, and all the rest behind
// 192.0.2.1.
func uplink(t *testing.T) *Device {
	t.Helper()
	inside(t)
	d := must(Open(Options{Name: "uplink"}))(t)
	t.Cleanup(func() { d.Close() })
	var s Setup
	if err := s.Apply(Address("uplink", netip.MustParsePrefix("192.0.2.2/24")), Address("uplink", netip.MustParsePrefix("2001:db8::2/64")), Up("uplink")); err != nil {
		t.Fatal(err)
	}
	route := &netlink.Route{LinkIndex: must(netlink.LinkByName("uplink"))(t).Attrs().Index, Gw: netip.MustParseAddr("192.0.2.1").AsSlice()}
	if err := netlink.RouteAdd(route); err != nil {
		t.Fatal(err)
	}
	return d
}

var server = netip.MustParseAddr("198.51.100.7")

func TestSetup(t *testing.T) {
	needNFT(t)
	uplink(t)
	before := state(t)
	d := must(Open(Options{}))(t)
	defer d.Close()
	changes := []Change{
		HostRoute(server),
		HostRoute(netip.MustParseAddr("192.0.2.99")), // on the link
		HostRoute(netip.MustParseAddr("192.0.2.2")),  // this machine: nothing to do
		HostRoute(netip.MustParseAddr("2001:db8::9")),
		Address(d.Name(), netip.MustParsePrefix("10.8.0.2/32")),
		Address(d.Name(), netip.MustParsePrefix("fd00:8::2/128")),
		Up(d.Name()),
		Sysctl("net.ipv4.ip_forward", "1"),
		Sysctl("net.ipv6.conf.all.forwarding", "1"),
		Table("tundump_test", "\tchain c {\n\t\ttype nat hook postrouting priority srcnat;\n\t\tip saddr 10.8.0.0/16 masquerade\n\t}\n"),
	}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		for _, h := range Halves(netip.MustParsePrefix(all)) {
			changes = append(changes, Route(d.Name(), h))
		}
	}
	var s Setup
	if err := s.Apply(changes...); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"198.51.100.7": "uplink 192.0.2.1", "192.0.2.99": "uplink invalid IP", "203.0.113.1": d.Name() + " invalid IP", "2001:db8::9": "uplink invalid IP", "2001:db8:1::1": d.Name() + " invalid IP",
	} {
		if p := must(PathTo(netip.MustParseAddr(to)))(t); p.Device+" "+p.Via.String() != want || p.Local || p.MTU != 1500 {
			t.Errorf("%s: %+v, want %s", to, p, want)
		}
	}
	during := state(t)
	for _, want := range []string{"net.ipv4.ip_forward 1", "net.ipv6.conf.all.forwarding 1", "tundump_test", "10.8.0.2/32", "fd00:8::2/128", ".json"} {
		if !strings.Contains(during, want) {
			t.Errorf("%s is missing in\n%s", want, during)
		}
	}
	info := must(os.Stat(s.State()))(t)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %s", s.State(), info.Mode())
	}
	if undone := must(Recover())(t); len(undone) != 0 {
		t.Errorf("undone while the process runs: %v", undone)
	}
	if err := s.Undo(); err != nil {
		t.Fatal(err)
	}
	if err := s.Undo(); err != nil || s.State() != "" {
		t.Fatal(err, s.State())
	}
	if after := state(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// Whatever the order in which device and setup end.
func TestUndoAfterClose(t *testing.T) {
	uplink(t)
	before := state(t)
	d := must(Open(Options{}))(t)
	var s Setup
	if err := s.Apply(HostRoute(server), Address(d.Name(), testNet), Up(d.Name()), Route(d.Name(), netip.MustParsePrefix("10.7.0.0/16"))); err != nil {
		t.Fatal(err)
	}
	d.Close()
	// The next device of that name is somebody else's.
	other := must(Open(Options{Name: d.Name()}))(t)
	defer other.Close()
	var theirs Setup
	if err := theirs.Apply(Address(other.Name(), testNet), Up(other.Name())); err != nil {
		t.Fatal(err)
	}
	if err := s.Undo(); err != nil {
		t.Fatal(err)
	}
	if now := state(t); !strings.Contains(now, "10.99.0.1/24") {
		t.Errorf("somebody else's address went:\n%s", now)
	}
	other.Close()
	if after := state(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// A step that fails undoes those before it, and only those.
func TestFailingStep(t *testing.T) {
	needNFT(t)
	up := uplink(t)
	// A route that somebody set.
	theirs := netip.MustParsePrefix("10.55.0.0/16")
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: must(netlink.LinkByName(up.Name()))(t).Attrs().Index, Dst: ipNet(theirs), Scope: netlink.SCOPE_LINK}); err != nil {
		t.Fatal(err)
	}
	const body = "\tchain c { }\n"
	if err := nft("create table inet tundump_theirs\n"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nft("delete table inet tundump_theirs\n"); err != nil {
			t.Error(err)
		}
	})
	before := state(t)
	for _, c := range []struct {
		bad  func(device string) Change
		says string
	}{
		{func(d string) Change { return Route(d, theirs) }, "another route"},
		{func(d string) Change { return Address("absent0", testNet) }, "Link not found"},
		{func(d string) Change { return Sysctl("net.ipv4.absent", "1") }, "no such file"},
		{func(d string) Change { return Sysctl("net.ipv4.ip_forward", "many") }, "invalid argument"},
		{func(d string) Change { return Table("tundump_theirs", body) }, "File exists"},
		{func(d string) Change { return Table("tundump_bad", "nonsense\n") }, "syntax error"},
	} {
		d := must(Open(Options{}))(t)
		var s Setup
		err := s.Apply(HostRoute(server), Sysctl("net.ipv4.ip_forward", "1"), Table("tundump_mine", body), Address(d.Name(), testNet), Up(d.Name()), Route(d.Name(), netip.MustParsePrefix("10.7.0.0/16")))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Apply(Route(d.Name(), netip.MustParsePrefix("10.6.0.0/16")), c.bad(d.Name()))
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "is undone") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, c.says)
		}
		d.Close()
		if after := state(t); after != before {
			t.Fatalf("%s: before:\n%s\nafter:\n%s", c.says, before, after)
		}
		if err := s.Undo(); err != nil {
			t.Error(err)
		}
	}
}

// leave is the process that is killed.
func leave() {
	var s Setup
	changes := []Change{HostRoute(server), Sysctl("net.ipv4.ip_forward", "1"), Sysctl("net.ipv6.conf.all.forwarding", "1")}
	if _, err := exec.LookPath("nft"); err == nil {
		changes = append(changes, Table("tundump_left", "\tchain c { }\n"))
	}
	fmt.Println(s.Apply(changes...))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test kills it
	if os.Getenv("TUNDUMP_TUN_TEST_UNDO") != "" {
		fmt.Println(s.Undo())
	}
	os.Exit(0)
}

// leaver starts leave and waits until it has made its changes.
func leaver(t *testing.T, env ...string) (cmd *exec.Cmd, in io.Closer, out *bufio.Reader) {
	t.Helper()
	cmd = again(roleLeave)
	cmd.Env = append(cmd.Env, env...)
	in = must(cmd.StdinPipe())(t)
	out = bufio.NewReader(must(cmd.StdoutPipe())(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line := must(out.ReadString('\n'))(t); line != "<nil>\n" {
		t.Fatal(line)
	}
	return cmd, in, out
}

func TestRecover(t *testing.T) {
	uplink(t)
	before := state(t)
	cmd, _, _ := leaver(t)
	during := state(t)
	if during == before {
		t.Fatal("nothing was changed")
	}
	if undone, err := Recover(); len(undone) != 0 || err != nil || state(t) != during {
		t.Fatal("undone while the process runs:", undone, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("not killed")
	}
	if state(t) != during {
		t.Fatal("the state went with the process")
	}
	undone := must(Recover())(t)
	if len(undone) < 3 {
		t.Errorf("%v", undone)
	}
	if after := state(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if undone := must(Recover())(t); len(undone) != 0 {
		t.Errorf("undone twice: %v", undone)
	}
}

// A process that got the number of one that was killed is not taken for it.
func TestNumberGivenAgain(t *testing.T) {
	uplink(t)
	before := state(t)
	cmd, _, _ := leaver(t)
	dir := must(stateDir())(t)
	for _, e := range must(os.ReadDir(dir))(t) {
		path := filepath.Join(dir, e.Name())
		r := must(readRecord(path))(t)
		r.PID, r.Started = os.Getpid(), "1" // ours, but started at another time
		if err := os.WriteFile(path, must(json.Marshal(r))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if undone := must(Recover())(t); len(undone) < 3 || state(t) != before {
		t.Errorf("%v", undone)
	}
	cmd.Process.Kill()
}

// What belongs to another namespace stays, what was before the last boot is
// forgotten.
func TestRecoverElsewhere(t *testing.T) {
	inside(t)
	here := must(thisProcess())(t)
	dir := must(stateDir())(t)
	gone := process{PID: 1 << 29, Started: "1", Boot: here.Boot, Network: here.Network}
	place := func(name string, change func(p *process)) string {
		p := gone
		change(&p)
		path := filepath.Join(dir, name+".json")
		r := record{process: p, Changes: []Change{{Op: opSysctl, Name: "net.ipv4.ip_forward", Value: must(readSysctl("net.ipv4.ip_forward"))(t), Was: "1"}}}
		if err := os.WriteFile(path, must(json.Marshal(r))(t), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := place("other", func(p *process) { p.Network = "cookie:0" })
	boot := place("boot", func(p *process) { p.Boot = "before" })
	if undone := must(Recover())(t); len(undone) != 0 {
		t.Errorf("%v", undone)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(boot); err == nil {
		t.Error("kept after a boot")
	}
	os.Remove(other)
}

// A file that is none of ours is named, and does not keep the others from
// being undone.
func TestRecoverBroken(t *testing.T) {
	uplink(t)
	before := state(t)
	cmd, _, _ := leaver(t)
	cmd.Process.Kill()
	cmd.Wait()
	dir := must(stateDir())(t)
	for name, text := range map[string]string{
		"0.json": "", "1.json": "{", "2.json": `{"changes":[{"op":"route"}]}`, "3.json": `{"changes":[{"op":"rm"}]}`, "4.json": strings.Repeat(" ", maxState+1),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Recover(); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(path)
	}
	if after := state(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// A directory that others can write is not believed.
func TestStateDirectory(t *testing.T) {
	inside(t)
	dir := must(stateDir())(t)
	defer os.Chmod(dir, 0o700)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	var s Setup
	if err := s.Apply(Sysctl("net.ipv4.ip_forward", "1")); err == nil || must(readSysctl("net.ipv4.ip_forward"))(t) != "0" {
		t.Error(err)
	}
}

// Two processes need forwarding: whichever ends first leaves it on, the other
// one switches it off.
func TestShared(t *testing.T) {
	uplink(t)
	before := state(t)
	_, in, out := leaver(t, "TUNDUMP_TUN_TEST_UNDO=1")
	var s Setup
	if err := s.Apply(Sysctl("net.ipv4.ip_forward", "1")); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if line := must(out.ReadString('\n'))(t); line != "<nil>\n" {
		t.Fatal(line)
	}
	if v := must(readSysctl("net.ipv4.ip_forward"))(t); v != "1" {
		t.Error("switched off while it is needed")
	}
	if v := must(readSysctl("net.ipv6.conf.all.forwarding"))(t); v != "0" {
		t.Error("left on although nobody needs it")
	}
	if err := s.Undo(); err != nil {
		t.Fatal(err)
	}
	if after := state(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// Somebody else's later setting is left alone.
func TestSysctlSetSince(t *testing.T) {
	inside(t)
	var s Setup
	name := "net.ipv4.ip_default_ttl"
	was := must(readSysctl(name))(t)
	if err := s.Apply(Sysctl(name, "99")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sysctlFile(name), []byte("77"), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Undo(); err != nil || must(readSysctl(name))(t) != "77" {
		t.Error(err)
	}
	if err := os.WriteFile(sysctlFile(name), []byte(was), 0); err != nil {
		t.Fatal(err)
	}
}

// The process that undoes need not be the one that made the changes.
func TestUndoFile(t *testing.T) {
	uplink(t)
	before := state(t)
	var s Setup
	if err := s.Apply(HostRoute(server), Sysctl("net.ipv4.ip_forward", "1")); err != nil {
		t.Fatal(err)
	}
	path := s.State()
	s.Leave()
	if err := s.Undo(); err != nil || path == "" {
		t.Fatal(err, path)
	}
	for range 2 {
		if err := UndoFile(path); err != nil {
			t.Fatal(err)
		}
		if after := state(t); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
}

func TestStartOf(t *testing.T) {
	a := must(startOf(os.Getpid()))(t)
	if n, err := strconv.ParseUint(a, 10, 64); err != nil || n == 0 {
		t.Error(a, err)
	}
	if _, err := startOf(1 << 29); err == nil {
		t.Error("a process that is not there has a start")
	}
}

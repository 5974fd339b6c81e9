package tun

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"tundump/replay"
)

var testNet = netip.MustParsePrefix("10.99.0.1/24")

// device returns a device that is up and has addresses.
func device(t testing.TB, o Options) *Device {
	t.Helper()
	inside(t)
	d := must(Open(o))(t)
	t.Cleanup(func() { d.Close() })
	var s Setup
	if err := s.Apply(Address(d.Name(), testNet), Up(d.Name())); err != nil {
		t.Fatal(err)
	}
	return d
}

// both runs a test with both drivers.
func both(t *testing.T, f func(t *testing.T, batched bool)) {
	t.Run("single", func(t *testing.T) { f(t, false) })
	t.Run("batched", func(t *testing.T) { f(t, true) })
}

func TestOpenRefuses(t *testing.T) {
	inside(t)
	there := must(Open(Options{Name: "there"}))(t)
	defer there.Close()
	for _, c := range []struct {
		o    Options
		want error
		says string
	}{
		{Options{Name: "there"}, ErrExists, "there"},
		{Options{Name: "lo"}, ErrExists, "lo"},
		{Options{Name: "sixteen-letters-"}, ErrName, "16 characters, and 15"},
		{Options{Name: strings.Repeat("x", 4096)}, ErrName, "4096 characters"},
		{Options{Name: "a b"}, ErrName, "letters"},
		{Options{Name: "a/b"}, ErrName, "letters"},
		{Options{Name: "tun%d"}, ErrName, "letters"},
		{Options{Name: ".."}, ErrName, "letters"},
		{Options{Name: "-x"}, ErrName, "letters"},
		{Options{Name: "a\x00b"}, ErrName, "letters"},
		{Options{MTU: 575}, nil, "576"},
		{Options{MTU: 65536}, nil, "65535"},
		{Options{MTU: -1}, nil, "576"},
	} {
		d, err := Open(c.o)
		if err == nil {
			d.Close()
			t.Errorf("%+v: no error", c.o)
			continue
		}
		if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

// A process without any privilege gets one line.
func TestOpenNobody(t *testing.T) {
	cmd := again(roleNobody)
	if os.Geteuid() == 0 {
		// The copy of nobody's may lie where nobody may not look.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("the test program cannot be run by nobody:", err)
	}
	if err != nil || !strings.Contains(string(out), ErrPrivilege.Error()) || strings.Count(string(out), "\n") != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestNames(t *testing.T) { both(t, testNames) }

func testNames(t *testing.T, batched bool) {
	inside(t)
	for _, name := range []string{"", "fifteen-letters", "t", "0tun", "tun_9.1-x"} {
		d := must(Open(Options{Name: name, MTU: 1350, Batched: batched}))(t)
		link := must(netlink.LinkByName(d.Name()))(t)
		if name != "" && d.Name() != name || link.Attrs().MTU != 1350 || d.MTU() != 1350 {
			t.Errorf("%q: %q %+v", name, d.Name(), link.Attrs())
		}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		if _, err := net.InterfaceByName(d.Name()); err == nil {
			t.Errorf("%q is there after Close", d.Name())
		}
	}
}

// A child would keep the device alive.
func TestNotInherited(t *testing.T) { both(t, testNotInherited) }

func testNotInherited(t *testing.T, batched bool) {
	device(t, Options{Batched: batched})
	out := must(exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput())(t)
	if strings.Contains(string(out), "tun") {
		t.Errorf("%s", out)
	}
}

func TestCloseEndsRead(t *testing.T) { both(t, testCloseEndsRead) }

func testCloseEndsRead(t *testing.T, batched bool) {
	d := device(t, Options{Batched: batched})
	done := make(chan error)
	go func() {
		bufs, sizes := replay.Buffers(4, d.MTU())
		_, err := d.Read(bufs, sizes)
		done <- err
	}()
	d.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := d.Read(replay.Buffers(1, 100)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := d.Write([][]byte{echoRequest()}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// Somebody removes the device.
func TestRemoved(t *testing.T) { both(t, testRemoved) }

func testRemoved(t *testing.T, batched bool) {
	d := device(t, Options{Batched: batched})
	done := make(chan error)
	go func() {
		bufs, sizes := replay.Buffers(4, d.MTU())
		_, err := d.Read(bufs, sizes)
		done <- err
	}()
	if err := netlink.LinkDel(must(netlink.LinkByName(d.Name()))(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "gone") {
		t.Error(err)
	}
	if _, err := d.Write([][]byte{echoRequest()}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Error(err)
	}
}

// The kernel sends nothing by itself, takes what is there in one Read, and
// what does not fit is dropped whole.
func TestReadBatch(t *testing.T) { both(t, testReadBatch) }

func testReadBatch(t *testing.T, batched bool) {
	d := device(t, Options{Batched: batched})
	conn := must(net.Dial("udp", "10.99.0.2:9"))(t)
	defer conn.Close()
	send := func(n int) []byte {
		b := bytes.Repeat([]byte{byte(n)}, n)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	var want [][]byte
	for n := 1; n <= 40; n++ {
		want = append(want, send(n))
	}
	const header = 28
	bufs, sizes := replay.Buffers(32, 1500)
	for len(want) > 0 {
		n, err := d.Read(bufs, sizes)
		if err != nil || n == 0 || !batched && n != min(32, len(want)) {
			t.Fatal(n, err)
		}
		for i := range n {
			if got := bufs[i][header:sizes[i]]; !bytes.Equal(got, want[i]) {
				t.Errorf("%d: %x, want %x", i, got, want[i])
			}
		}
		want = want[n:]
	}
	send(1000)
	last := send(72)
	bufs, sizes = replay.Buffers(4, 100)
	if n, err := d.Read(bufs, sizes); n != 1 || err != nil || !bytes.Equal(bufs[0][header:sizes[0]], last) || d.Dropped() != 1 {
		t.Error(n, err, sizes, d.Dropped())
	}
}

// echoRequest is a packet from 10.99.0.2 to the device's own address.
func echoRequest() []byte {
	return []byte{
		0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0x18, 10, 99, 0, 2, 10, 99, 0, 1,
		8, 0, 0xf7, 0xfd, 0, 1, 0, 1,
	}
}

// What the kernel refuses is dropped and counted, and the rest arrives.
func TestWrite(t *testing.T) { both(t, testWrite) }

func testWrite(t *testing.T, batched bool) {
	d := device(t, Options{Batched: batched})
	n, err := d.Write([][]byte{{}, {0xf5}, make([]byte, 100), echoRequest(), echoRequest()[:4]})
	if n != 5 || err != nil {
		t.Fatal(n, err)
	}
	bufs, sizes := replay.Buffers(4, 1500)
	if n, err := d.Read(bufs, sizes); n != 1 || err != nil || bufs[0][20] != 0 {
		t.Fatalf("%d %v %x", n, err, bufs[0][:sizes[0]])
	}
	if n := d.Dropped(); n < 3 && !batched || n < 1 {
		t.Errorf("%d dropped", d.Dropped())
	}
}

func BenchmarkRead(b *testing.B) {
	d := device(b, Options{})
	conn := must(net.Dial("udp", "10.99.0.2:9"))(b)
	defer conn.Close()
	msg := make([]byte, 1400)
	bufs, sizes := replay.Buffers(32, 1500)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		for range 32 {
			if _, err := conn.Write(msg); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for got := 0; got < 32; {
			n, err := d.Read(bufs, sizes)
			if err != nil {
				b.Fatal(err)
			}
			got += n
		}
		done += 32
	}
}

func BenchmarkWrite(b *testing.B) {
	d := device(b, Options{})
	pkts := make([][]byte, 32)
	for i := range pkts {
		p := append(echoRequest(), make([]byte, 1372)...)
		p[19] = 77 // nobody's: routed, and dropped
		pkts[i] = p
	}
	b.ReportAllocs()
	for done := 0; done < b.N; done += len(pkts) {
		if _, err := d.Write(pkts); err != nil {
			b.Fatal(err)
		}
	}
}

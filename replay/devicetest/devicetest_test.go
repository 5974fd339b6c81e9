package devicetest

import (
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"

	"tundump/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPipeKeepsOrderAndBounds(t *testing.T) {
	a, b := Pipe(100)
	defer a.Close()
	in := [][]byte{{1}, make([]byte, 101), {2, 2}, {3, 3, 3}}
	if n, err := a.Write(in); n != 4 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	bufs, sizes := replay.Buffers(2, 100)
	n, err := b.Read(bufs, sizes)
	if n != 2 || err != nil || sizes[0] != 1 || sizes[1] != 2 {
		t.Fatalf("Read = %d %v %v", n, sizes, err)
	}
	small := [][]byte{make([]byte, 2)}
	if _, err := a.Write([][]byte{{4}}); err != nil {
		t.Fatal(err)
	}
	if n, err = b.Read(small, sizes); n != 1 || err != nil || small[0][0] != 4 {
		t.Fatalf("a packet that does not fit must be dropped, not cut: %d %v %v", n, small, err)
	}
	if a.Dropped() != 1 || b.Dropped() != 1 {
		t.Fatalf("dropped %d and %d", a.Dropped(), b.Dropped())
	}
}

func TestCloseUnblocks(t *testing.T) {
	a, b := Pipe(100)
	errs := make(chan error, 2)
	go func() {
		bufs, sizes := replay.Buffers(1, 100)
		_, err := b.Read(bufs, sizes)
		errs <- err
	}()
	go func() {
		for {
			if _, err := b.Write([][]byte{{1}}); err != nil {
				errs <- err
				return
			}
		}
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
}

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakTime is how long the soak test runs: TUNDUMP_SOAK, or 20 seconds.
func soakTime(t *testing.T) time.Duration {
	if s := os.Getenv("TUNDUMP_SOAK"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal("TUNDUMP_SOAK:", err)
		}
		return d
	}
	if testing.Short() {
		t.Skip("takes 20 seconds, or as long as TUNDUMP_SOAK says")
	}
	return 20 * time.Second
}

// figures are what must not grow.
type figures struct {
	goroutines, descriptors int
	heap                    uint64
}

func (f figures) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MiB of heap", f.goroutines, f.descriptors, float64(f.heap)/(1<<20))
}

func measure() figures {
	runtime.GC()
	runtime.GC() // what the first one put in pools' victim caches
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd") // none where there is no such thing
	return figures{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}

// settled measures when what the last tunnels have left behind is gone.
func settled(t *testing.T, want figures) figures {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		f := measure()
		if want == (figures{}) || f.goroutines <= want.goroutines && f.descriptors <= want.descriptors || time.Now().After(deadline) {
			return f
		}
		select {
		case <-t.Context().Done():
			return f
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// soak is a proxy that records into files which follow each other, and what
// comes to it.
type soak struct {
	*crowd
	proxy *program
	audit *auditor
	rest  atomic.Bool // the files come faster than they are checked
}

const (
	soakTunnels = 200
	soakFile    = "8MiB"
	soakKeep    = "32MiB"
)

func newSoak(t *testing.T, args ...string) *soak {
	t.Helper()
	s := &soak{crowd: newCrowd(t, 3)}
	base := filepath.Join(t.TempDir(), "f")
	s.proxy = start(t, append([]string{"proxy", "--listen", "127.0.0.1:0", "--upstream", s.ln.Addr().String(), "-q", "--log-level", "warn",
		"-w", base, "-C", soakFile, "--keep", soakKeep}, args...)...)
	s.crowd.proxy = s.proxy.wait(t, `listening on (\S+),`)
	s.audit = newAuditor(t, &s.ledger, base, s.crowd.proxy, s.ln.Addr().String())
	return s
}

// run lets tunnels come and go, and two of them be hostile, for d, and waits
// until the last is gone and its files are checked.
func (s *soak) run(d time.Duration) {
	stop := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(stop) })
	defer timer.Stop()
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return !s.t.Failed()
		}
	}
	var wg sync.WaitGroup
	for i := range soakTunnels - 1 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), uint64(d)))
			for running() {
				err := s.tunnel(r, 5+r.IntN(20), func() {
					for pause := time.Duration(r.IntN(600)) * time.Millisecond; ; pause = 100 * time.Millisecond {
						select {
						case <-stop:
							return
						case <-time.After(pause):
						}
						if !s.rest.Load() {
							return
						}
					}
				})
				if err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		r := rand.New(rand.NewPCG(uint64(d), 5))
		for running() {
			if err := s.nonsense(r); err != nil {
				s.t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for {
		s.rest.Store(s.audit.backlog() > 8)
		s.audit.audit()
		select {
		case <-ended:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestSoak leaves a proxy in front of a busy server, with two hostile peers:
// one sends nonsense, one never reads.
func TestSoak(t *testing.T) {
	d := soakTime(t)
	s := newSoak(t)
	stuck, err := s.stuck(1)
	if err != nil {
		t.Fatal(err)
	}
	s.run(d / 4)
	before := settled(t, figures{})
	s.run(d / 4)
	before = settled(t, before)
	t.Log("after half the time:", before)
	s.run(d / 2)
	after := settled(t, before)
	t.Log("after all the time: ", after)
	stuck[0].Close()
	s.proxy.end(t)
	s.close()
	s.audit.finish()
	t.Logf("%d tunnels, %.1f MiB in them, %d files", s.ledger.settled, float64(s.ledger.bytes)/(1<<20), s.audit.files)
	if n := s.ledger.open(); n > 0 {
		t.Errorf("%d tunnels are not accounted for", n)
	}
	if len(s.audit.tunnels) > 0 {
		t.Errorf("the files leave %d tunnels open", len(s.audit.tunnels))
	}
	const slack = 8 << 20
	if after.goroutines > before.goroutines || after.descriptors > before.descriptors || after.heap > before.heap+slack {
		t.Errorf("it grows: %v, then %v", before, after)
	}
	for range s.proxy.lines { // the summary
	}
}

// TestThousandTunnels has them all open before the first goes.
func TestThousandTunnels(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const n = 1000
	s := newSoak(t, "--keep", "4GiB")
	began := time.Now()
	var all, wg sync.WaitGroup
	all.Add(n)
	for i := range n {
		wg.Go(func() {
			records := 0
			err := s.tunnel(rand.New(rand.NewPCG(uint64(i), 6)), 20, func() {
				if records++; records == 10 {
					all.Done()
					all.Wait()
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	s.proxy.end(t)
	s.close()
	s.audit.finish()
	if s.ledger.settled != n || s.ledger.open() != 0 {
		t.Errorf("%d tunnels are accounted for, %d are not", s.ledger.settled, s.ledger.open())
	}
	t.Logf("%d tunnels, %.1f MiB in %v, %d files", n, float64(s.ledger.bytes)/(1<<20), took.Round(time.Millisecond), s.audit.files)
}

// Clients that do not read hold up nobody but themselves.
func TestSlowClientsDoNotSlowOthers(t *testing.T) {
	s := newSoak(t, "--keep", "4GiB")
	transfer := func() time.Duration { // the best of three: what is recorded meanwhile is still being analysed
		best := time.Hour
		for range 3 {
			began := time.Now()
			if err := s.tunnel(rand.New(rand.NewPCG(7, 8)), 3000, func() {}); err != nil {
				t.Error(err)
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	alone := transfer()
	slow, err := s.stuck(50)
	if err != nil {
		t.Fatal(err)
	}
	among := transfer()
	for _, c := range slow {
		c.Close()
	}
	s.proxy.end(t)
	s.close()
	close(s.audit.stop)
	s.audit.away.Wait()
	t.Logf("3000 records and their answers take %v alone, %v among 50 clients that do not read", alone.Round(time.Millisecond), among.Round(time.Millisecond))
}

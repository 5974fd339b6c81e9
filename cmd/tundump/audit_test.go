package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tundump/capture/session"
	"tundump/capture/store"
	"tundump/decode"
)

// auditor reads the files of a capture one after the other, as they are
// rotated away, checks each alone, and adds up what is in all.
type auditor struct {
	t       *testing.T
	ledger  *ledger
	base    string   // the first file; the others have numbers behind it
	ports   []string // that carry tunnels
	tunnels map[uint32]*audited
	files   int
	judged  bool // tshark is there

	stop chan struct{}
	away sync.WaitGroup // the goroutine that moves files away

	mu      sync.Mutex
	waiting []string // moved away, not read yet
	next    int      // the number of the file that is moved next
}

// audited is what the files so far say of a tunnel.
type audited struct {
	id   int64
	both [2]*digest
}

// newAuditor starts a goroutine that moves the files away when they are
// complete, before the recorder deletes them. finish ends it.
func newAuditor(t *testing.T, l *ledger, base string, addrs ...string) *auditor {
	t.Helper()
	a := &auditor{t: t, ledger: l, base: base, tunnels: map[uint32]*audited{}, stop: make(chan struct{})}
	if err := os.Mkdir(filepath.Join(filepath.Dir(base), "away"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		a.ports = append(a.ports, "-d", "tcp.port=="+port+",data")
	}
	_, err := exec.LookPath("tshark")
	if a.judged = err == nil; !a.judged {
		t.Log("tshark is not installed: the files are not judged")
	}
	a.away.Go(func() {
		for {
			a.collect(false)
			select {
			case <-a.stop:
				a.collect(true)
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return a
}

// finish reads what is left, when the recording has ended.
func (a *auditor) finish() {
	close(a.stop)
	a.away.Wait()
	a.audit()
}

// backlog is how many files wait to be read.
func (a *auditor) backlog() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting)
}

func (a *auditor) name(n int) string {
	if n == 0 {
		return a.base
	}
	return fmt.Sprint(a.base, n)
}

// collect moves away what is complete: all but the newest file, or all.
func (a *auditor) collect(all bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if _, err := os.Stat(a.name(a.next + 1)); err != nil && !all {
			return
		}
		away := filepath.Join(filepath.Dir(a.base), "away", filepath.Base(a.name(a.next)))
		if err := os.Rename(a.name(a.next), away); err != nil {
			if !all || !errors.Is(err, os.ErrNotExist) {
				a.t.Error(err)
				a.next++
			}
			return
		}
		a.waiting = append(a.waiting, away)
		a.next++
	}
}

// audit reads what is waiting.
func (a *auditor) audit() {
	for a.backlog() > 0 && !a.t.Failed() {
		a.mu.Lock()
		path := a.waiting[0]
		a.waiting = a.waiting[1:]
		a.mu.Unlock()
		a.read(path)
		a.judge(path)
		if err := os.Remove(path); err != nil {
			a.t.Error(err)
		}
		a.files++
	}
}

func (a *auditor) read(path string) {
	st, err := store.Open(path)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer st.Close()
	s := session.New(st)
	open := map[uint32]bool{}
	for {
		row, err := s.Next(a.t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			a.t.Errorf("%s: %v", path, err)
			return
		}
		if row.Event.Kind == decode.Opened {
			open[row.Event.Tunnel] = true
		} else if !open[row.Event.Tunnel] {
			a.t.Errorf("%s: T%d %v: the file does not say that it is open", path, row.Event.Tunnel, row.Event.Kind)
			return
		}
		a.row(path, row)
	}
	if w := st.Warnings(); len(w) > 0 {
		a.t.Errorf("%s: %v", path, w)
	}
	if l := st.Losses(); l.Events() > 0 {
		a.t.Errorf("%s: %+v", path, l)
	}
}

func (a *auditor) row(path string, row *session.Row) {
	ev := &row.Event
	t := a.tunnels[ev.Tunnel]
	switch {
	case ev.Kind == decode.Opened && ev.Detail.Since == 0:
		a.tunnels[ev.Tunnel] = &audited{both: [2]*digest{newDigest(), newDigest()}}
	case t == nil:
		a.t.Errorf("%s: T%d %v: no file says when it was opened", path, ev.Tunnel, ev.Kind)
	case ev.Kind == decode.Record || ev.Kind == decode.Unframed:
		d := t.both[ev.Dir]
		if ev.Offset != d.bytes {
			a.t.Errorf("%s: T%d %v at %d, the files before end at %d", path, ev.Tunnel, ev.Dir, ev.Offset, d.bytes)
		}
		if d.bytes == 0 && ev.Dir == decode.ClientToServer && row.Message != nil && row.Message.Command == decode.Open {
			t.id = row.Message.Identifier
		}
		d.Write(ev.Raw)
		if t.id > 0 && row.Message != nil && len(row.Message.Problems) > 0 {
			a.t.Errorf("%s: T%d #%d: %v", path, ev.Tunnel, ev.Number, row.Message.Problems)
		}
	case ev.Kind == decode.Closed:
		delete(a.tunnels, ev.Tunnel)
		if t.id > 0 {
			a.ledger.say(t.id, "capture", t.both)
		}
	}
}

// judge lets tshark look for what is wrong. A port that is used again (which
// Linux does on loopback after a second) and a change of the window, which
// carries a comment where nothing else would, are nothing wrong.
func (a *auditor) judge(path string) {
	if !a.judged {
		return
	}
	args := append([]string{"-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}, a.ports...)
	args = append(args, "-Y", "_ws.malformed || _ws.short || ip.checksum.status == 0 || tcp.checksum.status == 0 || tcp.analysis.flags && !tcp.analysis.window_update && !tcp.analysis.reused_ports")
	out, err := exec.CommandContext(a.t.Context(), "tshark", args...).Output()
	if err != nil || len(out) > 0 {
		a.t.Errorf("%s: %v: %d packets:\n%.2000s", path, err, strings.Count(string(out), "\n"), out)
	}
}

package main

import (
	"path/filepath"
	"testing"
)

// The host answers the same SYN each time, though nobody has closed the
// connections of the time before.
func replayLoops(t *testing.T, r *recordedSession, l *lab) {
	l.respond(t)
	const loops = 3
	j, code, out := l.replayed(t, r.file, "--tun", "-t", "-l", "3", "-Y", "!(tcp.flags.reset == 1) && !(tcp.flags.fin == 1)", "--yes")
	if code != 0 || j.Answered != int64(loops*r.asked) || j.Unanswered+j.Changed+j.Extra != 0 {
		t.Errorf("exit %d, %d of %d answers: %+v\n%s", code, j.Answered, loops*r.asked, j, out)
	}
}

// A ping that has to be cut is answered in fragments, and is the same.
func replayLarge(t *testing.T, _ *recordedSession, l *lab) {
	file := filepath.Join(t.TempDir(), "pings.pcapng")
	writeLargePings(t, file)
	j, code, out := l.replayed(t, file, "--tun", "--address", "10.8.0.1/24", "--mtu", "1300")
	if code != 1 || j.Sent != 2 || j.Answered != 2 || j.Unanswered != 0 || j.Changed != 1 || j.TooBig != 1 || j.Extra+j.Unrelated != 0 {
		t.Errorf("exit %d, %+v\n%s", code, j, out)
	}
}

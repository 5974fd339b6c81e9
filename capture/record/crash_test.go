package record

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tundump/capture/store"
	"tundump/decode"
)

// crashFile names the capture that the test binary, run again as a recorder
// under load, writes until it is killed.
const crashFile = "TUNDUMP_TEST_CRASH_FILE"

func TestRecordUntilKilled(t *testing.T) {
	path := os.Getenv(crashFile)
	if path == "" {
		t.Skip("run by TestKilled")
	}
	// What waits is small, so that the last row is young even where a race
	// detector or a loaded machine makes writing slow.
	s := newSession(t, Options{Path: path, QueueBytes: 1 << 20})
	s.open(1, "10.0.0.1:1", "10.0.0.2:2")
	raw := packets(t, 1, udp(1, 1200))
	for {
		s.now = time.Now().UnixNano()
		s.sent = s.sent[:0]
		s.record(1, c2s, decode.OnClientSide, raw)
		if s.rec.Err() != nil {
			t.Fatal(s.rec.Err())
		}
	}
}

// A recorder that is killed under load leaves a file that opens, and whose
// last row is not old.
func TestKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	for i := range rounds {
		path := filepath.Join(t.TempDir(), strconv.Itoa(i))
		cmd := exec.Command(self, "-test.run=^TestRecordUntilKilled$")
		cmd.Env = append(os.Environ(), crashFile+"="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Rows have to be there before the moment can be a random one.
		for size, enough := int64(0), rand.Int64N(16<<20)+4096; size < enough; {
			if info, err := os.Stat(path); err == nil {
				size = info.Size()
			}
			time.Sleep(time.Millisecond)
		}
		killed := time.Now()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // it was killed, and says so
		st, err := store.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := rows(t, st)
		last := got[len(got)-1]
		age := killed.Sub(time.Unix(0, last.Time))
		t.Logf("%d rows, the last %v old; %v", len(got), age, st.Warnings())
		if age > 200*time.Millisecond {
			t.Errorf("the last row is %v older than the kill", age)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tundump/tui"
)

// Random keys, clicks and sizes, sent to the program in a real terminal while
// the demo's traffic runs: it neither panics nor sticks, and leaves the
// terminal as it was. TUNDUMP_RANDOM=1 sends a thousand from each of eight
// seeds instead of some hundred from one.
func TestRandomEventsInTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := buildProgram(t)
	seeds, events := uint64(1), 250
	if os.Getenv("TUNDUMP_RANDOM") != "" {
		seeds, events = 8, 1000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomEvents(t, bin, seed, events) })
	}
}

func randomEvents(t *testing.T, bin string, seed uint64, events int) {
	rnd := rand.New(rand.NewPCG(seed, 20))
	// The slash is no key here, and not sent: so no path that is typed leads out
	// of the directory.
	x := newTerminal(t, 140, 45, fmt.Sprintf(`mkdir tundump; echo 'keys: {filter: ["%%"], stats.search: ["%%"], stream.search: ["%%"]}' >tundump/config.yaml; stty -g >before; while ! [ -e stop ]; do %s demo 2>>log; echo exit $? >>log; read enter; stty -g >after; cmp before after >>log; done`, bin))
	x.shows("OpenResult")
	keys := randomKeys()
	w, h := 140, 45
	var sent []string
	for n := 0; n < events; {
		if rnd.IntN(12) == 0 {
			w, h = 20+rnd.IntN(200), 5+rnd.IntN(60)
			if rnd.IntN(3) > 0 {
				w, h = 80+rnd.IntN(100), 24+rnd.IntN(30)
			}
			x.tmux("resize-window", "-x", strconv.Itoa(w), "-y", strconv.Itoa(h))
			sent = append(sent, fmt.Sprintf("%dx%d", w, h))
			n++
			continue
		}
		var burst strings.Builder // what arrives at once
		for range 1 + rnd.IntN(8) {
			e := randomBytes(rnd, keys, w, h)
			burst.WriteString(e)
			sent = append(sent, e)
			n++
		}
		args := []string{"send-keys", "-H"}
		for _, b := range []byte(burst.String()) {
			args = append(args, fmt.Sprintf("%02x", b))
		}
		x.tmux(args...)
		if strings.TrimSpace(x.tmux("display-message", "-p", "#{alternate_on}")) == "0" { // it was told to quit
			x.restored()
			x.keys("Enter")
			x.until("its screen again", func(string) bool { return strings.TrimSpace(x.tmux("display-message", "-p", "#{alternate_on}")) == "1" })
		}
	}
	defer func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(x.dir, "log")) // shown as far as it is there
			t.Logf("the last events: %q\n%s\n%s", sent[max(0, len(sent)-30):], log, x.screen())
		}
	}()
	x.tmux("resize-window", "-x", "80", "-y", "24")
	x.until("the view that was asked for", func(s string) bool {
		x.keys("Escape") // out of whatever is open
		x.keys("4")
		return strings.Contains(s, "Life of the tunnel")
	})
	for range 2 {
		x.keys("5")
		x.shows("Severity")
		x.keys("4")
		x.shows("Life of the tunnel")
	}
	if err := os.WriteFile(filepath.Join(x.dir, "stop"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x.keys("Q")
	x.restored()
	x.keys("Enter") // which the shell gets only if the terminal makes a line of it
	x.shows("ended")
	log, err := os.ReadFile(filepath.Join(x.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ends := strings.Count(string(log), "exit 0\n")
	if ends == 0 || ends != strings.Count(string(log), "exit ") || strings.Contains(string(log), "anic") || strings.Contains(string(log), "differ") {
		t.Errorf("the program's ends, and what it said:\n%s", log)
	}
	t.Logf("%d events, ended %d times", events, ends)
}

// randomKeys are the keys of the help, as terminals send them, without those
// that end or stop the program, and without the slash.
func randomKeys() []string {
	sequences := map[string]string{
		"↑": "\x1b[A", "↓": "\x1b[B", "→": "\x1b[C", "←": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F", "pgup": "\x1b[5~", "pgdown": "\x1b[6~",
		"tab": "\t", "shift+tab": "\x1b[Z", "enter": "\r", "esc": "\x1b", "backspace": "\x7f", "space": " ", "f1": "\x1bOP",
	}
	var out []string
	for _, line := range strings.Split(tui.Markdown(), "\n") {
		cells := strings.SplitN(line, " | ", 3)
		if len(cells) < 3 {
			continue
		}
		switch strings.TrimSpace(cells[1]) {
		case "quit", "quit.now", "suspend":
			continue
		}
		for _, label := range strings.Split(strings.ReplaceAll(cells[0], `\|`, "|"), "`") {
			switch label = strings.Trim(label, " "); {
			case sequences[label] != "":
				out = append(out, sequences[label])
			case strings.HasPrefix(label, "ctrl-"):
				out = append(out, string(label[5]&0x1f))
			case label == "/":
				out = append(out, "%")
			case len(label) == 1:
				out = append(out, label)
			}
		}
	}
	return out
}

// randomBytes is one event as a terminal sends it.
func randomBytes(rnd *rand.Rand, keys []string, w, h int) string {
	switch rnd.IntN(12) {
	case 0, 1: // the mouse: left, middle and right button, the wheel, moving, letting go
		button := []int{0, 0, 0, 1, 2, 64, 64, 65, 65, 32, 35}[rnd.IntN(11)]
		return fmt.Sprintf("\x1b[<%d;%d;%d%c", button, 1+rnd.IntN(w+3), 1+rnd.IntN(h+3), "MMMm"[rnd.IntN(4)])
	case 2:
		return "\x1b[200~paste \x1b[2J\n日本語\x1b[201~"
	case 3:
		return []string{"tcp.port == 80", "icmp", "ip.addr == 10.8.0.2 &&", "hello", "12", `\`, "é", "jjjkkk", "tunnel."}[rnd.IntN(9)]
	case 4:
		return []string{"\x1b[", "\x1b[99;99;99~", "\x1b]0;", "\xff\xfe", "\x00", "\x1b[I", "\x1b[O"}[rnd.IntN(7)]
	case 5, 6:
		return "\r"
	case 7:
		return "\x1b"
	}
	return keys[rnd.IntN(len(keys))]
}

package record

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tundump/capture/store"
	"tundump/decode"
)

var equal = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(bytes.Equal), // and not byte by byte, which takes minutes
}

// random offers events in an order that need not make sense: whatever a tap is
// handed has to come back.
func (s *session) random(r *rand.Rand, n int) {
	texts := []string{"", "plain", "two words", "quote \" and \\", "tab\tesc\x1b[31m\u202e\U0001f9e8", "a=b,c"}
	addrs := []netip.AddrPort{
		{}, netip.MustParseAddrPort("10.1.2.3:4"), netip.MustParseAddrPort("[fe80::1%eth0]:5"),
		netip.MustParseAddrPort("[::ffff:1.2.3.4]:6"), netip.MustParseAddrPort("0.0.0.0:8890"), netip.MustParseAddrPort("[2001:db8::9]:0"),
	}
	addr := func() netip.AddrPort { return addrs[r.IntN(len(addrs))] }
	text := func() string { return texts[r.IntN(len(texts))] }
	for range n {
		ev := decode.Event{
			Kind: decode.Kind(1 + r.IntN(int(decode.Blocked))), Dir: decode.Direction(r.IntN(2)),
			Flags: decode.Flags(r.IntN(int(decode.OnServerSide) << 1)), Tunnel: uint32(1 + r.IntN(3)),
		}
		switch ev.Kind {
		case decode.Record, decode.Unframed, decode.Packet:
			ev.Raw = noise(r, sizes[r.IntN(len(sizes))])
			if ev.Kind == decode.Packet {
				ev.Raw = ev.Raw[:min(len(ev.Raw), 1500)]
			}
		case decode.Gap:
			ev.Detail = &decode.Detail{Len: int64(r.Uint32()) * int64(r.IntN(3))}
		case decode.Opened:
			ev.Detail = &decode.Detail{Client: addr(), Listener: addr(), Upstream: text()}
		case decode.Connected:
			ev.Detail = &decode.Detail{Local: addr(), Remote: addr()}
		case decode.Refused:
			ev.Detail = &decode.Detail{Reason: text()}
		case decode.HalfClosed, decode.Reset, decode.Closed:
			ev.Detail = &decode.Detail{By: decode.Party(r.IntN(4)), Reason: text()}
		case decode.TCPInfo:
			ev.Offset = int64(r.IntN(2)) * 4711
			ev.Detail = &decode.Detail{RTT: time.Duration(r.Int64N(1e12)), Retrans: r.Uint32(), Unacked: uint32(r.IntN(10))}
		case decode.Blocked:
			ev.Detail = &decode.Detail{Wait: time.Duration(r.Int64N(1e10))}
		}
		s.offer(ev)
	}
}

var sizes = []int{0, 1, 2, 3, 100, 1400, 1401, 65494, 65495, 65496, 65515, 65516, 131072, 300_001}

// order is what must stay in order: events of one kind in one direction of one
// tunnel. Others may wait for a block to stand on.
func order(events []decode.Event) map[string][]decode.Event {
	m := map[string][]decode.Event{}
	for _, ev := range events {
		key := fmt.Sprint(ev.Tunnel, ev.Dir, ev.Kind, ev.Kind.Counts() && len(ev.Raw) == 0 && (ev.Detail == nil || ev.Detail.Len == 0))
		ev.Number = 0
		m[key] = append(m[key], ev)
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.pcapng")
			s := newSession(t, Options{Path: path})
			s.random(rand.New(rand.NewPCG(seed, 0)), 120)
			s.close()
			live := rows(t, s.rec.Store())
			if diff := cmp.Diff(order(s.sent), order(live), equal); diff != "" {
				t.Fatalf("recorded events (-offered +live):\n%.4000s", diff)
			}
			number := int64(0)
			for i := range live {
				if live[i].Kind.Counts() {
					number++
				}
				if live[i].Kind.Counts() && live[i].Number != number || !live[i].Kind.Counts() && live[i].Number != 0 {
					t.Fatalf("row %d, %v, has number %d, want %d", i, live[i].Kind, live[i].Number, number)
				}
			}
			opened, err := store.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			if diff := cmp.Diff(live, rows(t, opened), equal); diff != "" {
				t.Fatalf("reopened file (-live +opened):\n%.4000s", diff)
			}
			if w := opened.Warnings(); len(w) > 0 {
				t.Error(w)
			}
			for i := range live {
				if a, b := s.rec.Store().Entry(i), opened.Entry(i); a != b {
					t.Fatalf("entry %d: live %+v, opened %+v", i, a, b)
				}
			}
		})
	}
}

func TestOrdinaryRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.pcapng")
	s := newSession(t, Options{Path: path})
	s.ordinary()
	s.close()
	if diff := cmp.Diff(order(s.sent), order(rows(t, s.rec.Store())), equal); diff != "" {
		t.Error(diff)
	}
}

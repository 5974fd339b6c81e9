package session_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tundump/capture/session"
	"tundump/capture/store"
	"tundump/cmd/tundump/output"
	"tundump/decode/field"
	"tundump/decode/filter"
)

// filters ask in every way that there is an answer from.
var filters = []string{
	"tcp.port == 443", "ip.addr == 192.168.1.2", "tcp.analysis.retransmission", "tcp.analysis.ack_rtt > 0.01", "tcp.analysis.bytes_in_flight > 1000 || udp.port == 53",
	"tcp.stream == 1", "udp.stream in {0..2}", "!tcp.port", "tcp.port != 443", "frame.number > 10 && frame.number < 20", "frame.len > 1000", "tcp.flags.syn == 1",
	"dns", "tcp", "tcp && ip.src != 10.0.0.1", "icmp || icmpv6 || ipv6 && udp", "!ip", "frame && udp.port == 53", "mdns || tcp.port == 80", "tls", "http || quic", "tls.handshake.type == 1", "http.request.method", "!tls.record.version", "frame.protocols contains \"tls\"", "tls.handshake.extensions_server_name && tunnel.stream == 1", "http.host || finding.code", "tcp[13] & 2", "ip.addr == 192.168.0.0/16", "tcp.analysis.flags", "tcp.analysis", "udp && ip.ttl < 64", "tunnel.stream == 2", "tunnel.stream == 2 && tcp", "tunnel.dir == \"s2c\"", "tunnel.len > 100", "tunnel.error", "tunnel.command.name == \"Packets\"",
	"finding.severity == \"warning\"", "finding.code", "dns.time > 0", "icmp", "ip.src == 10.0.0.1 || ipv6", "tunnel.msg < 5", "tcp.analysis.duplicate_ack", "tcp.analysis.initial_rtt > 0",
	"_ws.col.info contains \"Seq\"", "tunnel.af == 2 && udp", "tcp.completeness == 31",
}

// printed is what read -Y prints: the values of a field of the rows that pass.
func printed(t *testing.T, st *store.Store, f *filter.Filter, name string, packets bool) (numbers []int) {
	t.Helper()
	var out bytes.Buffer
	fd, ok := field.Lookup(name)
	if !ok {
		t.Fatal(name)
	}
	p := output.New(&out, output.Options{Format: output.Fields, Fields: []*field.Field{fd}, Filter: f, Packets: packets, Messages: !packets})
	s := session.New(st)
	for {
		r, err := s.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Row(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Fields(out.String()) {
		n, err := strconv.Atoi(l)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// found waits for the end of a selection, and returns the numbers of its rows.
func found(t *testing.T, v *session.View, l session.List, s *session.Selection) (numbers []int) {
	t.Helper()
	for version := v.Snapshot().Version; ; {
		snap, err := v.Changed(t.Context(), version)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		version = snap.Version
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if done, all := s.Progress(); done != all {
		t.Errorf("%d of %d rows were looked at", done, all)
	}
	positions := make([]int, s.Len())
	for i := range positions {
		positions[i] = s.At(i)
	}
	err := v.Read(t.Context(), l, positions, func(it *session.Item) bool {
		if l == session.Packets {
			numbers = append(numbers, int(it.Number))
		} else {
			numbers = append(numbers, int(it.Event.Number))
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers
}

// A selection is what read -Y prints.
func TestSelectIsRead(t *testing.T) {
	for _, path := range sharedCaptures(t) {
		pkts := ipPackets(t, path)
		if len(pkts) == 0 || len(pkts) > 3000 || testing.Short() && len(pkts) > 300 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			st := tunnelled(t, pkts)
			v := view(t, st)
			type asked struct {
				text string
				list session.List
				flt  *filter.Filter
				rows *session.Selection
			}
			var all []asked
			for _, text := range filters {
				f, err := filter.Compile(text)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range []session.List{session.Messages, session.Packets} {
					all = append(all, asked{text, l, f, v.Select(l, f)})
				}
			}
			for _, a := range all {
				name := []string{"tunnel.msg", "frame.number"}[a.list]
				want := printed(t, st, a.flt, name, a.list == session.Packets)
				if got := found(t, v, a.list, a.rows); !slices.Equal(got, want) {
					t.Errorf("%s, list %d: %d rows, want %d: %.100s, want %.100s", a.text, a.list, len(got), len(want), fmt.Sprint(got), fmt.Sprint(want))
				}
			}
		})
	}
}

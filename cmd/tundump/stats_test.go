package main

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// layouts are the taps whose tables tshark prints with the same lines, in
// whatever order it has rows with equal counts.
var layouts = []string{
	"conv,ip", "conv,ipv6", "conv,tcp", "conv,udp", "endpoints,ip", "endpoints,ipv6", "endpoints,tcp", "endpoints,udp",
	"conv,udp,frame.len > 200", "endpoints,ip,tcp",
	"io,stat,0", "io,stat,7.25,tcp,udp", "io,stat,10,COUNT(ip.ttl)ip.ttl,SUM(frame.len)frame.len > 100,MIN(frame.len)udp,MAX(frame.len)tcp,AVG(frame.len)ip",
	"io,stat,0,LOAD(dns.time)", "io,stat,5,LOAD(dns.time)dns.time,LOAD(tcp.analysis.ack_rtt)tcp.analysis.ack_rtt", "io,stat,7.25,LOAD(tcp.analysis.ack_rtt)tcp.analysis.ack_rtt,LOAD(dns.time)frame.len > 100",
}

// judged are captures of many kinds of traffic: TCP, UDP, IPv6, ICMP, fragments,
// packets inside packets. What tshark unpacks and is not read here (IPComp) has
// other totals.
var judged = []string{
	"ntop+nDPI/telegram.pcap", "ntop+nDPI/wechat.pcap", "ntop+nDPI/alexa-app.pcapng", "ntop+nDPI/quic_interop_V.pcapng", "ntop+nDPI/sctp.cap",
	"google+gopacket/test_loopback.pcap",
	"zeek+zeek/gre-within-gre.pcap", "zeek+zeek/sctp.pcap", "ntop+nDPI/rsh-syslog-false-positive.pcap",
}

// TestStatsTshark has tshark judge what stats counts: a real capture is put
// into a tunnel, and its inner packets, as tundump reads them, are given to
// tshark.
func TestStatsTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("wraps a dozen captures")
	}
	compared := 0
	for _, capture := range judged {
		outer, name := wrapped(t, "ip", capture), filepath.Base(capture)
		inner := filepath.Join(t.TempDir(), "inner.pcap")
		var errs bytes.Buffer
		if code := run([]string{"export", outer, "-w", inner}, nil, io.Discard, &errs); code != exitDone {
			t.Fatalf("%s: export: exit code %d: %s", name, code, errs.String())
		}
		if compareStats(t, name, outer, inner, layouts) && compareStats(t, name, outer, inner, []string{"io,phs"}) {
			compared++
		}
	}
	t.Logf("%d captures compared", compared)
	if compared < len(judged)-2 {
		t.Errorf("only %d captures compared", compared)
	}
}

// compareStats compares what both print for taps; false if tshark comes to no
// end.
func compareStats(t *testing.T, name, outer, inner string, taps []string) bool {
	t.Helper()
	args, own := []string{"-n", "-q", "-r", inner}, []string{"stats", "-q", outer}
	for _, tap := range taps {
		args, own = append(args, "-z", tap), append(own, "-z", tap)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exe, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark here to judge")
	}
	printed, err := exec.CommandContext(ctx, exe, args...).Output()
	if ctx.Err() != nil {
		t.Logf("%s: tshark does not end", name)
		return false
	} else if err != nil {
		t.Fatalf("%s: tshark: %v", name, err)
	}
	var out, errs bytes.Buffer
	if code := run(own, nil, &out, &errs); code != exitDone {
		t.Fatalf("%s: exit code %d: %s", name, code, errs.String())
	}
	ours, theirs := tables(out.String()), tables(string(printed))
	if len(ours) != len(theirs) || len(theirs) != len(taps) {
		t.Errorf("%s: %d tables of %d, tshark has %d", name, len(ours), len(taps), len(theirs))
	}
	for head, want := range theirs {
		compareTables(t, name, head, ours[head], want)
	}
	return true
}

// compareTables compares two tables of one heading; of a hierarchy what is
// above the transport, and below it what both name.
func compareTables(t *testing.T, name, head string, got, want []string) {
	t.Helper()
	if strings.HasPrefix(head, "Protocol Hierarchy") {
		got, want = upToTransport(got), upToTransport(want)
	}
	shown := 0
	slices.Sort(got)
	slices.Sort(want)
	head = strings.ReplaceAll(strings.Join(strings.Fields(head), " "), " |", "")
	for _, l := range want {
		if _, found := slices.BinarySearch(got, l); !found && shown < 4 {
			t.Errorf("%s: %s: tshark has %q", name, head, l)
			shown++
		}
	}
	for _, l := range got {
		if _, found := slices.BinarySearch(want, l); !found && shown < 8 {
			t.Errorf("%s: %s: tshark has not %q", name, head, l)
			shown++
		}
	}
}

// tables splits output into tables by their headings; the lines of each are
// sorted.
func tables(out string) map[string][]string {
	m := map[string][]string{}
	head := ""
	var heads []string
	for line := range strings.Lines(out) {
		line = strings.ReplaceAll(strings.TrimRight(line, "\n "), ". ", ".0") // tshark does not pad a duration's decimals
		switch {
		case line == "" || strings.Trim(line, "=-") == "" || strings.HasPrefix(line, "Running as"):
			continue
		case strings.HasSuffix(line, " Conversations"), strings.HasSuffix(line, " Endpoints"), strings.HasPrefix(line, "Protocol Hierarchy"), strings.HasPrefix(line, "| IO Statistics"):
			head = ""
			heads = []string{strings.Join(strings.Fields(line), " ")}
			continue
		}
		if head == "" { // the lines that tell tables of one kind apart
			heads = append(heads, line)
			if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|--") {
				heads[len(heads)-1] = strings.Join(strings.Fields(line), " ")
				continue
			}
			if strings.HasPrefix(line, "|") {
				heads = heads[:len(heads)-1] // a rule, as wide as the columns
			}
			head = strings.Join(heads, "\n")
			m[head] = []string{}
			continue
		}
		if strings.HasPrefix(line, "|--") {
			continue
		}
		if strings.HasPrefix(line, "|") { // columns may be wider than what is in them
			line = strings.Join(strings.Fields(strings.ReplaceAll(line, "|", " | ")), " ")
		}
		m[head] = append(m[head], line)
	}
	return m
}

// upToTransport drops the lines of a hierarchy that are below a transport.
func upToTransport(lines []string) []string {
	var kept []string
	for _, l := range lines {
		if depth := (len(l) - len(strings.TrimLeft(l, " "))) / 2; depth < 3 && !strings.Contains(l, "data") {
			kept = append(kept, l)
		}
	}
	return kept
}

package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"tundump/capture/judge"
	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/decode/field"
)

// TestCompare has tshark judge every field of every packet of captures: those
// in TUNDUMP_COMPARE, separated as in PATH; "shared" stands for those of the
// shared folder beside the repository.
//
//	TUNDUMP_COMPARE=mine.pcapng go test ./cmd/tundump -run TestCompare -v
//	TUNDUMP_COMPARE=shared go test ./cmd/tundump -run TestCompare -v
//
// The IP packets of each capture are written to a file of link type RAW, which
// both read. tshark reads it twice, with its TCP reassembly off and on;
// checksums are verified. Of each field, what is printed by -T fields -e is
// compared on all packets on which either side has it. TUNDUMP_COMPARE_FIELD
// (a prefix) limits the fields whose differences are shown, and shows more of
// them.
func TestCompare(t *testing.T) {
	files := filepath.SplitList(os.Getenv("TUNDUMP_COMPARE"))
	if len(files) == 0 {
		t.Skip("no captures are named in TUNDUMP_COMPARE")
	}
	shared := files[0] == "shared"
	if shared {
		var err error
		if files, err = filepath.Glob(filepath.Join(judge.Shared(t, "captures"), "*", "*")); err != nil {
			t.Fatal(err)
		}
	}
	c := newComparison(t)
	for _, file := range files {
		if bare := bareCapture(t, file); bare != "" {
			c.file(t, bare, filepath.Base(file))
		}
	}
	c.report(t)
	if shared && c.packets < 10000 {
		t.Errorf("only %d packets were compared", c.packets)
	}
}

// file compares a capture of link type RAW, which is called name.
func (c *comparison) file(t *testing.T, bare, name string) {
	ours := c.ours(t, bare)
	alone, whole, ordered := c.theirs(t, bare, "FALSE", "FALSE", "TRUE"), c.theirs(t, bare, "TRUE", "FALSE", "TRUE"), c.theirs(t, bare, "TRUE", "TRUE", "FALSE")
	c.compare(name, 0, ours, alone, alone)
	c.compare(name, 1, ours, whole, ordered)
}

// tsharkName returns what tshark calls a field of ours.
func tsharkName(name string) string {
	switch name {
	case "_ws.col.protocol":
		return "_ws.col.Protocol"
	case "_ws.col.info":
		return "_ws.col.Info"
	}
	return name
}

// agreement says how often two sides agree.
type agreement struct{ either, same int }

func (c agreement) percent() float64 { return 100 * float64(c.same) / float64(max(1, c.either)) }

// difference is a class of them: packets of the same kind in which one side
// lacks a field, or has another value.
type difference struct{ field, kind, protocols string }

type comparison struct {
	fields  []*field.Field
	packets int
	counts  [2]map[string]*agreement // by field, for each of tshark's two readings
	differ  [2]map[difference][]string
	known   [2]map[string]int
	streams map[[3]string]string
	listed  [2]agreement // protocol column, on packets of the protocols that we read
}

func newComparison(t *testing.T) *comparison {
	known := map[string]bool{"_ws.col.Protocol": true, "_ws.col.Info": true}
	list, err := exec.Command("tshark", "-G", "fields").Output()
	if err != nil {
		t.Skipf("no tshark here to judge: %v", err)
	}
	for line := range strings.Lines(string(list)) {
		if p := strings.Split(line, "\t"); p[0] == "F" && len(p) > 2 {
			known[p[2]] = true
		}
	}
	c := &comparison{}
	for i := range c.counts {
		c.counts[i], c.differ[i], c.known[i] = map[string]*agreement{}, map[difference][]string{}, map[string]int{}
	}
	all := field.All()
	for i := range all {
		switch f := &all[i]; {
		case f.Cost < field.FromPacket, f.Name == "frame.number", strings.HasPrefix(f.Name, "tunnel."):
		case known[tsharkName(f.Name)]:
			c.fields = append(c.fields, f)
		default:
			t.Logf("tshark has no field %s", f.Name)
		}
	}
	return c
}

// ours returns the text of each field for each packet, as -T fields has it.
func (c *comparison) ours(t *testing.T, file string) [][]string {
	t.Helper()
	capture, err := sniff.Open(file, sniff.Options{})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer capture.Close()
	s := session.New(capture.Store())
	var rows [][]string
	var values []field.Value
	for {
		row, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return rows
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range row.Packets {
			pr := row.PacketRow(i)
			line := make([]string, len(c.fields))
			for j, f := range c.fields {
				values = f.Values(values[:0], pr)
				var text []byte
				for k, v := range values {
					if k > 0 {
						text = append(text, ',')
					}
					text = v.AppendText(text, f)
				}
				line[j] = string(text)
			}
			rows = append(rows, line)
		}
	}
}

// theirs is ours by tshark.
func (c *comparison) theirs(t *testing.T, file, desegment, order, checksum string) [][]string {
	t.Helper()
	args := []string{"-r", file, "-T", "fields", "-o", "tcp.desegment_tcp_streams:" + desegment, "-o", "tcp.reassemble_out_of_order:" + order}
	for _, p := range []string{"ip", "udp"} {
		args = append(args, "-o", p+".check_checksum:TRUE")
	}
	args = append(args, "-o", "sctp.checksum:CRC 32c")
	args = append(args, "-o", "tcp.check_checksum:"+checksum)
	for _, f := range c.fields {
		args = append(args, "-e", tsharkName(f.Name))
	}
	var rows [][]string
	for line := range strings.Lines(tshark(t, args...)) {
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(row) != len(c.fields) {
			t.Fatalf("tshark printed %d fields, %d were asked for: %q", len(row), len(c.fields), line)
		}
		rows = append(rows, row)
	}
	return rows
}

func (c *comparison) index(name string) int {
	return slices.IndexFunc(c.fields, func(f *field.Field) bool { return f.Name == name })
}

// compare counts on how many packets ours are theirs, or are the others: what
// tshark says when it puts segments in order and whatever their checksums are,
// as we do. That alone would not do, because it waits for ever for a segment
// that was not captured.
func (c *comparison) compare(file string, mode int, ours, theirs, others [][]string) {
	if mode == 0 {
		c.packets += len(theirs)
	}
	c.streams = map[[3]string]string{}
	protocols, column := c.index("frame.protocols"), c.index("_ws.col.protocol")
	for i, want := range theirs {
		have := make([]string, len(c.fields))
		if i < len(ours) {
			have = ours[i]
		}
		for j, f := range c.fields {
			if have[j] == "" && want[j] == "" {
				continue
			}
			n := c.counts[mode][f.Name]
			if n == nil {
				n = new(agreement)
				c.counts[mode][f.Name] = n
			}
			same := c.same(f.Name, have[j], want[j]) || have[j] == others[i][j]
			if k := knownDifference(f.Name, have[j], others[i][j], others[i][protocols]); !same && k != "" {
				c.known[mode][k]++
				continue
			}
			n.either++
			if same {
				n.same++
			} else {
				c.note(mode, f.Name, have[j], want[j], want[protocols], fmt.Sprintf("%s:%d", file, i+1))
			}
			if j == column && isListed(want[j]) {
				c.listed[mode].either++
				if same {
					c.listed[mode].same++
				}
			}
		}
	}
}

// same compares two values. Other dissectors of tshark's open flows before
// their first packet, so that a flow's packets can be compared, not its
// number.
func (c *comparison) same(name, have, want string) bool {
	switch {
	case strings.HasPrefix(name, "tcp.analysis.") && have == "1":
		return strings.TrimRight(want, ",1") == "" && want != "" // tshark marks a duplicate acknowledgment twice
	case !strings.HasSuffix(name, ".stream"):
		return have == want
	}
	for _, k := range [][3]string{{name, "ours", have}, {name, "theirs", want}} {
		other := want
		if k[1] == "theirs" {
			other = have
		}
		if known, ok := c.streams[k]; ok && known != other {
			return false
		}
		c.streams[k] = other
	}
	return true
}

var meaningOfType = regexp.MustCompile(`> \([^)]*\)`)

// knownDifference names the class of a difference that is meant to be, "" if
// it is not. They are counted apart.
//
// A stapled OCSP response (RFC 6066, section 8) holds certificates and names
// of its signer, which tshark lists among those of the server. Here x509
// fields are those of a Certificate message alone, so that they say who the
// server is. What tshark has must begin with what we have.
//
// tshark 4.0 has two fields called dns.rr.udp_payload_size: it prints that of
// DNS as a decimal number, and that of multicast DNS as a hexadecimal one. A
// field here has one form. The numbers must be the same.
//
// tshark puts words for its type behind a NetBIOS name. Here nbns.name is the
// name and the number of its type.
//
// tshark gives the media packets of a call that it saw set up a second number
// besides their flow's. Here one flow has one number.
func knownDifference(name, have, want, protocols string) string {
	switch {
	case strings.HasPrefix(name, "x509") && strings.Contains(protocols, ":ocsp") && strings.HasPrefix(want, have):
		return "names in a stapled OCSP response"
	case name == "dns.rr.udp_payload_size" && strings.Contains(protocols, ":mdns"):
		n, err := strconv.ParseUint(want, 0, 16)
		if err == nil && have == strconv.FormatUint(n, 10) {
			return "payload sizes of multicast DNS in hexadecimal"
		}
	case name == "udp.stream" && (strings.HasSuffix(protocols, ":rtp") || strings.HasSuffix(protocols, ":t38")):
		return "second numbers of a call's media flows"
	case name == "nbns.name" && meaningOfType.ReplaceAllString(want, ">") == have:
		return "words for the types of NetBIOS names"
	}
	return ""
}

func (c *comparison) note(mode int, name, have, want, protocols, where string) {
	kind := "another value"
	switch {
	case have == "":
		kind = "not ours"
	case want == "":
		kind = "only ours"
	}
	if name == "_ws.col.protocol" {
		kind = have + ", tshark " + want
	}
	k := difference{name, kind, protocols}
	c.differ[mode][k] = append(c.differ[mode][k], fmt.Sprintf("%s %.90q, tshark %.90q", where, have, want))
}

// isListed reports whether a protocol column names what this project reads.
func isListed(column string) bool {
	switch column {
	case "IPv4", "IPv6", "TCP", "UDP", "UDPLite", "ICMP", "ICMPv6", "IGMPv0", "IGMPv1", "IGMPv2", "IGMPv3", "GRE", "SCTP", "ESP", "AH",
		"DNS", "MDNS", "LLMNR", "DHCP", "DHCPv6", "NTP", "HTTP", "QUIC", "SSHv1", "SSHv2", "SSH", "STUN", "WireGuard", "OpenVPN", "data":
		return true
	}
	return strings.HasPrefix(column, "TLS") || strings.HasPrefix(column, "SSL") || strings.HasPrefix(column, "HTTP/")
}

// group returns the kind of a field and what part of the packets has to agree.
func group(name string) (kind string, least float64) {
	head, _, _ := strings.Cut(name, ".")
	switch {
	case strings.HasPrefix(name, "tcp.analysis."):
		return "tcp analysis", 98
	case name == "_ws.col.info", name == "_ws.col.protocol", name == "frame.protocols":
		return name, 0
	case slices.Contains([]string{"dns", "http", "tls", "quic"}, head):
		return "DNS, HTTP, TLS and QUIC", 99
	case slices.Contains([]string{"dhcp", "dhcpv6", "ntp", "mdns", "llmnr", "nbns", "ssdp", "stun", "ssh", "x509ce", "x509sat"}, head):
		return "other applications", 0
	}
	return "headers", 99.8
}

// report prints the agreement of each field, each class of difference with
// examples, and fails for what agrees too little.
func (c *comparison) report(t *testing.T) {
	t.Logf("%d packets; the second figure is with tshark's TCP reassembly", c.packets)
	shown := os.Getenv("TUNDUMP_COMPARE_FIELD")
	totals := map[string]*[2]agreement{}
	least := map[string]float64{"protocol column of what is listed": 97}
	for _, f := range c.fields {
		kind, need := group(f.Name)
		least[kind] = need
		if totals[kind] == nil {
			totals[kind] = new([2]agreement)
		}
		var n [2]agreement
		for mode := range n {
			if got := c.counts[mode][f.Name]; got != nil {
				n[mode] = *got
			}
			totals[kind][mode].either += n[mode].either
			totals[kind][mode].same += n[mode].same
		}
		if n[0].either > 0 && (n[0].same < n[0].either || n[1].same < n[1].either) && strings.HasPrefix(f.Name, shown) {
			t.Logf("%-44s %6d %8.3f %% %8.3f %%", f.Name, n[0].either, n[0].percent(), n[1].percent())
			for mode := range n {
				if mode == 0 && n[1].percent() > n[0].percent() && shown == "" {
					continue
				}
				if c.classes(t, mode, f.Name, shown != ""); shown == "" {
					break
				}
			}
		}
	}
	c.largest(t)
	for mode := range c.known {
		for k, n := range c.known[mode] {
			t.Logf("known difference, reading %d: %d values: %s", mode+1, n, k)
		}
	}
	totals["protocol column of what is listed"] = &c.listed
	for kind, n := range totals {
		t.Logf("%-40s %8d of %8d, %7.3f %%; %8d of %8d, %7.3f %%", kind, n[0].same, n[0].either, n[0].percent(), n[1].same, n[1].either, n[1].percent())
		if n[0].either > 0 && max(n[0].percent(), n[1].percent()) < least[kind] {
			t.Errorf("%s: less than %g %%", kind, least[kind])
		}
	}
}

// classes prints the classes of difference of a field, the largest first.
func (c *comparison) classes(t *testing.T, mode int, name string, all bool) {
	var keys []difference
	for k := range c.differ[mode] {
		if k.field == name {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b difference) int {
		if d := len(c.differ[mode][b]) - len(c.differ[mode][a]); d != 0 {
			return d
		}
		return strings.Compare(a.kind+a.protocols, b.kind+b.protocols)
	})
	most, examples := 4, 1
	if all {
		most, examples = 40, 3
	}
	for i, k := range keys {
		if i == most {
			t.Logf("      and %d classes more", len(keys)-most)
			break
		}
		list := c.differ[mode][k]
		t.Logf("      %d: %s, %s", len(list), k.kind, k.protocols)
		for _, e := range list[:min(examples, len(list))] {
			t.Logf("          %s", e)
		}
	}
}

// largest prints in which kinds of packets the most values differ, over all
// fields but the columns, with tshark's TCP reassembly.
func (c *comparison) largest(t *testing.T) {
	type class struct{ group, protocols string }
	values := map[class]int{}
	fields := map[class][]string{}
	for k, list := range c.differ[1] {
		kind, _ := group(k.field)
		if kind == k.field {
			continue
		}
		in := class{kind, k.protocols}
		values[in] += len(list)
		fields[in] = append(fields[in], fmt.Sprintf("%s (%d %s, such as %.20s)", k.field, len(list), k.kind, list[0]))
	}
	keys := slices.SortedFunc(maps.Keys(values), func(a, b class) int {
		return cmp.Or(values[b]-values[a], strings.Compare(a.group+a.protocols, b.group+b.protocols))
	})
	for i, k := range keys {
		if i == 40 {
			t.Logf("and %d kinds of packets more", len(keys)-i)
			break
		}
		slices.Sort(fields[k])
		t.Logf("%5d values of %s, %s: %.300s", values[k], k.group, k.protocols, strings.Join(fields[k], ", "))
	}
}

// bareCapture writes the IP packets of a capture to a file of link type RAW;
// "" if there are none.
func bareCapture(t *testing.T, file string) string {
	t.Helper()
	edit, err := exec.LookPath("editcap")
	if err != nil {
		t.Skip("editcap is not installed")
	}
	ng := filepath.Join(t.TempDir(), "any.pcapng")
	if out, err := exec.Command(edit, "-F", "pcapng", file, ng).CombinedOutput(); err != nil {
		t.Logf("%s: %v: %s", file, err, bytes.TrimSpace(out)) // what it wrote before is there
	}
	in, err := os.Open(ng)
	if err != nil {
		t.Logf("%s: %v", file, err)
		return ""
	}
	defer in.Close()
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Logf("%s: %v", file, err)
		return ""
	}
	le := binary.LittleEndian
	out := le.AppendUint32(nil, 0xa1b23c4d)
	out = le.AppendUint16(le.AppendUint16(out, 2), 4)
	for _, v := range []uint32{0, 0, 262144, 101} {
		out = le.AppendUint32(out, v)
	}
	empty := len(out)
	for {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			break
		}
		pkt := ipPacket(data, ci.AncillaryData[0].(layers.LinkType))
		if pkt == nil {
			continue
		}
		ns := ci.Timestamp.UnixNano()
		for _, v := range []int64{ns / 1e9, ns % 1e9, int64(len(pkt)), int64(len(pkt))} {
			out = le.AppendUint32(out, uint32(v))
		}
		out = append(out, pkt...)
	}
	if len(out) == empty {
		return ""
	}
	bare := filepath.Join(t.TempDir(), "bare"+strconv.Itoa(len(out))+".pcap")
	if err := os.WriteFile(bare, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return bare
}

// ipPacket returns the outermost IP packet of a frame.
func ipPacket(data []byte, link layers.LinkType) []byte {
	if link == 101 || link == 228 || link == 229 {
		if len(data) == 0 || data[0]>>4 != 4 && data[0]>>4 != 6 {
			return nil
		}
		return data
	}
	for _, l := range gopacket.NewPacket(data, link, gopacket.Default).Layers() {
		if typ := l.LayerType(); typ == layers.LayerTypeIPv4 || typ == layers.LayerTypeIPv6 {
			return slices.Concat(l.LayerContents(), l.LayerPayload())
		}
	}
	return nil
}

package decode_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tundump/decode"
	"tundump/decode/bplist"
	"tundump/decode/frame"
	"tundump/decode/packet"
)

// The vectors are 271 streams with what the two genuine ends do with each and
// what an analyzer owes its user. They stand beside the project.
const vectorsDir = "../../shared/vectors"

type vector struct {
	File    string
	Dir     string
	Context map[string]int64
	Frames  []struct {
		Off    int
		Length int64
		Error  string
	}
	Messages []struct {
		Decode, Format, Command string
	}
	Analyzer struct {
		Category string
		Warnings []string
	}
	Server, Client struct{ Action string }
}

func loadVectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorsDir, "expected.json"))
	if err != nil {
		t.Skip("the vectors are not beside this checkout: ", err)
	}
	var all struct{ Vectors []vector }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all.Vectors
}

// seen is what the decoder made of one stream.
type seen struct {
	records, unframed, cutoff int
	decoded, malformed        int
	empty                     int
	codes                     []string
	formats, commands         []string
	worst                     decode.Outcome // that any problem's receiver comes to
}

func analyze(stream []byte, dir decode.Direction, conns *decode.Connections) seen {
	var (
		s  frame.Scanner
		m  decode.Message
		f  packet.Facts
		p  = packet.NewParser()
		at int
		r  seen
	)
	for {
		sp, ok := s.Next(stream[at:], frame.End)
		if !ok {
			break
		}
		raw := stream[at : at+sp.Len]
		at += sp.Len
		switch sp.Kind {
		case frame.Unframed:
			r.unframed++
			continue
		case frame.Cutoff:
			r.cutoff++
			continue
		}
		r.records++
		err := m.Decode(decode.Event{Kind: decode.Record, Dir: dir, Raw: raw})
		conns.Check(&m)
		switch {
		case len(raw) == frame.HeaderLen:
			r.empty++
		case err != nil || m.Command == 0 || crashes(&m):
			r.malformed++
		default:
			r.decoded++
		}
		r.formats = append(r.formats, m.Encoding.String())
		r.commands = append(r.commands, m.Command.String())
		for _, pr := range m.Problems {
			r.codes = append(r.codes, string(pr.Code))
			r.worst = max(r.worst, rank(pr.Outcome))
		}
		for i := range m.PacketCount() {
			pkt, _ := m.Packet(i)
			if len(pkt) == 0 {
				continue
			}
			p.Facts(pkt, &f)
			if f.Problem.IP() {
				r.codes = append(r.codes, f.Problem.Code())
			}
		}
	}
	slices.Sort(r.codes)
	r.codes = slices.Compact(r.codes)
	return r
}

// crashes reports a dictionary that no genuine end survives, although we show
// what it holds.
func crashes(m *decode.Message) bool {
	return slices.ContainsFunc(m.Problems, func(p decode.Problem) bool { return p.Code == decode.ProblemKeyType })
}

// context returns a tunnel on which the vector's connections are open.
func context(open map[string]int64) *decode.Connections {
	c := new(decode.Connections)
	var w bplist.Writer
	for kind, id := range open {
		w.Reset()
		pairs := []bplist.Ref{w.String("command"), w.Int(6), w.String("identifier"), w.Int(id)}
		if kind == "ip" {
			pairs = append(pairs, w.String("tunnel-type"), w.Int(1))
		} else {
			pairs = append(pairs, w.String("tunnel-type"), w.Int(0), w.String("app-proxy-flow-type"),
				w.Int(map[string]int64{"tcp": 1, "udp": 3}[kind]), w.String("host"), w.String("h"), w.String("port"), w.String("1"))
		}
		raw, err := w.Append(frame.Reserve(nil), w.Dict(pairs...))
		if err != nil {
			panic(err)
		}
		if err := frame.PutLength(raw, 0); err != nil {
			panic(err)
		}
		var m decode.Message
		if err := m.Decode(decode.Event{Raw: raw}); err != nil {
			panic(err)
		}
		c.Check(&m)
	}
	return c
}

func directions(dir string) []decode.Direction {
	switch dir {
	case "c2s":
		return []decode.Direction{decode.ClientToServer}
	case "s2c":
		return []decode.Direction{decode.ServerToClient}
	}
	return []decode.Direction{decode.ClientToServer, decode.ServerToClient}
}

func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		for _, dir := range directions(v.Dir) {
			b, err := os.ReadFile(filepath.Join(vectorsDir, v.File))
			if err != nil {
				t.Fatal(err)
			}
			got := analyze(b, dir, context(v.Context))
			if !fits(v, got) {
				t.Errorf("%s %s: want %s %v\n\tgot %+v", v.File, dir, v.Analyzer.Category, v.Analyzer.Warnings, got)
			}
			checkWarnings(t, v, dir, got)
			checkOutcome(t, v, dir, got)
		}
	}
}

func fits(v vector, got seen) bool {
	switch v.Analyzer.Category {
	case "decode", "decode+warn":
		return got.decoded == len(v.Messages) && got.unframed == 0
	case "malformed":
		return got.malformed == 1 && got.unframed == 0
	case "malformed+desync":
		return got.malformed == 1 && got.unframed+got.cutoff > 0
	case "empty-message":
		return got.empty > 0 && got.unframed == 0
	case "incomplete":
		return got.records == 0 && got.unframed == 0 && got.cutoff <= 1
	case "framing-fatal": // what the genuine ends do; ours reports it and goes on
		return got.unframed+got.cutoff > 0 || slices.Contains(got.codes, string(decode.ProblemOversize))
	}
	return false
}

// more lists what we find in vectors that were made to show something else.
var more = map[string][]string{
	"ok-23-length-131072.bin":      {"inner-ip"},               // the packets are random bytes
	"edge-amplification.bin":       {"inner-ip"},               // and so they are here
	"edge-deep-100.bin":            {"configuration"},          // it is an array
	"edge-deep-200.bin":            {"configuration", "depth"}, // and deeper than iOS reads
	"edge-identifier-negative.bin": {"unknown-identifier"},
	"bad-plist-xml.bin":            {"configuration-missing"}, // a request, here taken as an answer too
}

// rank orders outcomes by what is lost, and takes those together that the
// vectors do not tell apart.
func rank(o decode.Outcome) decode.Outcome {
	switch o {
	case decode.NoAnswer:
		return decode.Ignores
	case decode.Unstated, decode.FailsStart, decode.Undefined:
		return decode.Accepts
	}
	return o
}

// checkOutcome compares what we say that the receiver does with what the
// models of the genuine ends do.
func checkOutcome(t *testing.T, v vector, dir decode.Direction, got seen) {
	t.Helper()
	action := v.Server.Action
	if dir == decode.ServerToClient {
		action = v.Client.Action
	}
	want, ok := map[string]decode.Outcome{"reply": decode.Accepts, "route": decode.Accepts,
		"ignore": decode.Ignores, "close": decode.ClosesTunnel, "crash": decode.Crashes}[action]
	if !ok || v.Analyzer.Category == "decode" || got.records != 1 || got.unframed+got.cutoff > 0 {
		return
	}
	if got.worst = max(got.worst, decode.Accepts); got.worst != want {
		t.Errorf("%s %s: we say that the receiver %s, the model's %ss", v.File, dir, got.worst, action)
	}
}

// checkWarnings compares the problems with those that the vector wants,
// both ways: one that is missing is a fault, and so is one too many.
func checkWarnings(t *testing.T, v vector, dir decode.Direction, got seen) {
	t.Helper()
	if c := v.Analyzer.Category; c != "decode" && c != "decode+warn" {
		return
	}
	var want []string
	for _, w := range v.Analyzer.Warnings {
		switch w {
		case "too-many-packets (s2c)":
			if dir == decode.ClientToServer {
				continue
			}
			w = "too-many-packets"
		case "packets-not-data":
			w = string(decode.ProblemPacketsType)
		}
		want = append(want, w)
	}
	got.codes = slices.DeleteFunc(got.codes, func(c string) bool {
		return slices.Contains(more[v.File], c) && !slices.Contains(want, c)
	})
	slices.Sort(want)
	if !slices.Equal(want, got.codes) {
		t.Errorf("%s %s: problems %v, want %v", v.File, dir, got.codes, want)
	}
}

// A valid message in front of a vector and one behind it are decoded whatever
// stands between them.
func TestSandwiches(t *testing.T) {
	fetch := build(t, 9, 0)
	data := build(t, 2, 7)
	for _, v := range loadVectors(t) {
		b, err := os.ReadFile(filepath.Join(vectorsDir, v.File))
		if err != nil {
			t.Fatal(err)
		}
		stream := slices.Concat(fetch, b, data)
		got := analyze(stream, decode.ClientToServer, new(decode.Connections))
		if n := len(got.commands); n < 2 || got.commands[0] != "FetchConfiguration" || got.commands[n-1] != "Suspend" {
			t.Errorf("%s: commands %q, %+v", v.File, got.commands, got)
		}
	}
}

func build(t *testing.T, command, id int64) []byte {
	t.Helper()
	var w bplist.Writer
	raw, err := w.Append(frame.Reserve(nil), w.Dict(w.String("command"), w.Int(command), w.String("identifier"), w.Int(id)))
	if err != nil {
		t.Fatal(err)
	}
	if err := frame.PutLength(raw, 0); err != nil {
		t.Fatal(err)
	}
	return raw
}

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tundump/replay"
)

// save writes the reports that files were named for.
func (r *reportFlags) save(p *played, report *replay.Report, failed error) (err error) {
	for _, s := range r.reports {
		kind, file, serr := splitReport(s)
		if serr == nil {
			serr = writeReport(kind, file, p, report, failed)
		}
		if serr != nil {
			err = errors.Join(err, fmt.Errorf("replay: --report %s: %w", kind, serr))
		}
	}
	return err
}

// print prints the report. The error is the verdict: nil if all was the same.
func (r *reportFlags) print(cmd *cobra.Command, p *played, report *replay.Report, failed error) error {
	w := cmd.OutOrStdout()
	if r.capture == "-" {
		w = cmd.ErrOrStderr()
	}
	var err error
	if p.flags.client.listen != "" {
		err = printListened(w, report)
	} else {
		err = printReplay(w, report, p.plan)
	}
	if !r.quiet {
		err = errors.Join(err, printDifferences(w, report))
	}
	err = errors.Join(err, p.unsaved)
	if failed != nil {
		return errors.Join(fmt.Errorf("replay: after %s: %w", count(report.Sent, "packet"), failed), err)
	}
	if verdict := p.verdict(report); verdict != "" {
		err = errors.Join(fmt.Errorf("replay: %s", verdict), err)
	}
	return err
}

// verdict says in a few words why it is not the same, "" if it is.
func (p *played) verdict(r *replay.Report) string {
	if r.Refused > 0 && r.Refused >= r.Sent {
		return fmt.Sprintf("the device took none of %s: is it up?", count(r.Sent, "packet"))
	}
	if r.Expected > 0 && r.Received == 0 && p.flags.server.to != "" {
		return fmt.Sprintf("the server answered nothing, and %s expected", wasWere(r.Expected, "answer"))
	}
	if r.Expected > 0 && r.Received == 0 {
		return fmt.Sprintf("nothing came back, and %s expected: does this system drop what comes from those addresses? see: ip route get, nft list ruleset, sysctl net.ipv4.conf.all.rp_filter", wasWere(r.Expected, "answer"))
	}
	var parts []string
	extra := "extra"
	if p.flags.client.listen != "" {
		extra = "not in the recording"
		if r.Received+r.Flows == 0 && r.Extra == 0 {
			return "no client asked for anything"
		}
	}
	for _, c := range []struct {
		n    int64
		what string
	}{{r.Unanswered, "unanswered"}, {r.Changed, "changed"}, {r.Extra, extra}, {r.Refused, "not taken by the device"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if n := r.Flows - r.FlowsSame; n > 0 {
		parts = append(parts, fmt.Sprintf("%s of %d different", count(n, "connection"), r.Flows))
	}
	return strings.Join(parts, ", ")
}

func wasWere(n int64, what string) string {
	if n == 1 {
		return "1 " + what + " was"
	}
	return fmt.Sprintf("%d %ss were", n, what)
}

// printReplay prints a report for people.
func printReplay(w io.Writer, r *replay.Report, plan *replay.Plan) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(tw, name+"\t"+format+"\n", args...) }
	what := "packet"
	switch n := planMessages(plan); {
	case n > 0 && n == int64(len(plan.Steps)):
		what = "message"
	case n > 0:
		what = "messages and packet"
	}
	row("sent", "%s, %s in %s, %.1f %ss/s, %.3f Mbit/s", count(r.Sent, what), size(r.Bytes), r.Elapsed.Round(time.Microsecond),
		speed(r.Sent, r.Elapsed), what, speed(r.Bytes*8, r.Elapsed)/1e6)
	if r.Refused > 0 {
		row("not sent", "%d not taken by the device", r.Refused)
	}
	if plan.Oversize > 0 {
		row("too large", "%s", tooLarge(plan))
	}
	if r.Lateness.Count > 0 {
		row("lateness", "%s; planned %s", quantiles(r.Lateness), r.Planned.Round(time.Microsecond))
	}
	switch {
	case r.Sent == 0 && r.Expected == 0 && r.Flows == 0:
		row("answers", "none: nothing was sent")
	case r.Expected == 0:
		row("answers", "none expected: the recording holds no answer to what was sent; %d came", r.Received)
	default:
		row("answers", "%d of %d, %d unanswered, %d late, %d changed", r.Answered, r.Expected, r.Unanswered, r.Late, r.Changed)
	}
	if r.Extra+r.Repeated+r.Unrelated > 0 {
		row("also came", "%d extra, %d repeated, %d that nothing was compared with", r.Extra, r.Repeated, r.Unrelated)
	}
	if r.Flows > 0 {
		row("connections", "%d of %d the same, %s sent, %s came", r.FlowsSame, r.Flows, size(r.FlowBytes[0]), size(r.FlowBytes[1]))
	}
	if r.RTT.Count > 0 {
		row("round trip", "%s; recorded %s", quantiles(r.RTT), quantiles(r.RecordedRTT))
	}
	if r.Loops > 1 {
		row("loops", "%d", r.Loops)
	}
	if r.Stopped != "" {
		row("stopped", "%s", r.Stopped)
	}
	return tw.Flush()
}

// tooLarge says what becomes of what is larger than the MTU.
func tooLarge(plan *replay.Plan) string {
	var parts []string
	for _, c := range []struct {
		n    int64
		what string
	}{{plan.Cut, "cut into fragments"}, {plan.TooBig, "answered with ICMP too big, because they must not be cut"}, {plan.Oversize - plan.Cut - plan.TooBig, "left out"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return fmt.Sprintf("%s larger than the MTU: %s", count(plan.Oversize, "packet"), strings.Join(parts, ", "))
}

// printDifferences prints the first of them.
func printDifferences(w io.Writer, r *replay.Report) (err error) {
	for i := range r.Differences {
		if i == shownDifferences {
			_, werr := fmt.Fprintf(w, "and %s more\n", count(r.Total-shownDifferences, "difference"))
			return errors.Join(err, werr)
		}
		err = errors.Join(err, printDifference(w, &r.Differences[i]))
	}
	return err
}

// shownDifferences is how many are printed; the reports have more.
const shownDifferences = 20

func quantiles(q replay.Quantiles) string {
	us := func(d time.Duration) string { return d.Round(time.Microsecond).String() }
	return fmt.Sprintf("p50 %s p99 %s max %s", us(q.P50), us(q.P99), us(q.Max))
}

// title says in one line what is different.
func title(d *replay.Difference) string {
	what := "packet"
	if d.Message {
		what = "message"
	}
	text := fmt.Sprintf("%s: %s %d", d.Kind, what, d.Request)
	if d.Answer > 0 {
		text += fmt.Sprintf(", answered by %d", d.Answer)
	}
	if d.Loop > 1 {
		text += fmt.Sprintf(", loop %d", d.Loop)
	}
	for _, f := range d.Fields {
		text += "; " + f.Name
	}
	return text
}

func printDifference(w io.Writer, d *replay.Difference) error {
	var b strings.Builder
	fmt.Fprintf(&b, "! %s\n", title(d))
	for _, f := range d.Fields {
		fmt.Fprintf(&b, "    %s: recorded %s, now %s\n", f.Name, orNone(f.Recorded), orNone(f.Live))
	}
	fmt.Fprintf(&b, "    recorded  %s\n    now       %s\n", orNone(d.Recorded), orNone(d.Live))
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// splitReport reads json=FILE and junit=FILE.
func splitReport(s string) (kind, file string, err error) {
	kind, file, ok := strings.Cut(s, "=")
	if !ok || file == "" || kind != "json" && kind != "junit" {
		return "", "", usage(fmt.Errorf("replay: --report %s: write json=FILE or junit=FILE", s))
	}
	return kind, file, nil
}

func writeReport(kind, file string, p *played, r *replay.Report, failed error) error {
	var b []byte
	var err error
	if kind == "json" {
		b, err = json.MarshalIndent(jsonReport(p, r, failed), "", "  ")
	} else {
		b, err = xml.MarshalIndent(junitReport(p, r, failed), "", "  ")
		b = append([]byte(xml.Header), b...)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o600)
}

// jsonReplay is the report for programs. Times are seconds.
type jsonReplay struct {
	File        string           `json:"file"`
	Same        bool             `json:"same"`
	Verdict     string           `json:"verdict,omitempty"`
	Error       string           `json:"error,omitempty"`
	Stopped     string           `json:"stopped,omitempty"`
	Sent        int64            `json:"sent"`
	Bytes       int64            `json:"bytes"`
	Refused     int64            `json:"refused"`
	Oversize    int64            `json:"oversize"`
	TooBig      int64            `json:"too_big"`
	Damaged     int64            `json:"damaged"`
	Loops       int              `json:"loops"`
	Elapsed     float64          `json:"elapsed"`
	Planned     float64          `json:"planned"`
	Expected    int64            `json:"expected"`
	Answered    int64            `json:"answered"`
	Unanswered  int64            `json:"unanswered"`
	Late        int64            `json:"late"`
	Changed     int64            `json:"changed"`
	Extra       int64            `json:"extra"`
	Repeated    int64            `json:"repeated"`
	Unrelated   int64            `json:"unrelated"`
	Fragments   int64            `json:"fragments"`
	Flows       int64            `json:"flows"`
	FlowsSame   int64            `json:"flows_same"`
	FlowBytes   [2]int64         `json:"flow_bytes"`
	Lateness    jsonQuantiles    `json:"lateness"`
	RTT         jsonQuantiles    `json:"rtt"`
	RecordedRTT jsonQuantiles    `json:"recorded_rtt"`
	Total       int64            `json:"differences_total"`
	Differences []jsonDifference `json:"differences"`
}

type jsonQuantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type jsonDifference struct {
	Kind     string      `json:"kind"`
	Request  int64       `json:"request"`
	Answer   int64       `json:"answer,omitempty"`
	Message  bool        `json:"message,omitempty"`
	Loop     int         `json:"loop"`
	Recorded string      `json:"recorded,omitempty"`
	Live     string      `json:"live,omitempty"`
	Fields   []jsonField `json:"fields,omitempty"`
}

type jsonField struct {
	Name     string `json:"name"`
	Recorded string `json:"recorded"`
	Live     string `json:"live"`
}

func jsonReport(p *played, r *replay.Report, failed error) jsonReplay {
	q := func(q replay.Quantiles) jsonQuantiles {
		return jsonQuantiles{q.P50.Seconds(), q.P99.Seconds(), q.Max.Seconds()}
	}
	j := jsonReplay{
		File: safe(p.file), Same: failed == nil && r.Same(), Verdict: p.verdict(r), Stopped: r.Stopped,
		Sent: r.Sent, Bytes: r.Bytes, Refused: r.Refused, Oversize: p.plan.Oversize, TooBig: r.TooBig, Damaged: p.plan.Damaged, Loops: r.Loops,
		Elapsed: r.Elapsed.Seconds(), Planned: r.Planned.Seconds(),
		Expected: r.Expected, Answered: r.Answered, Unanswered: r.Unanswered, Late: r.Late, Changed: r.Changed,
		Extra: r.Extra, Repeated: r.Repeated, Unrelated: r.Unrelated, Fragments: r.Fragments,
		Flows: r.Flows, FlowsSame: r.FlowsSame, FlowBytes: r.FlowBytes,
		Lateness: q(r.Lateness), RTT: q(r.RTT), RecordedRTT: q(r.RecordedRTT), Total: r.Total, Differences: jsonDifferences(r.Differences),
	}
	if failed != nil {
		j.Error = safe(oneLine(failed.Error()))
	}
	return j
}

func jsonDifferences(list []replay.Difference) []jsonDifference {
	all := make([]jsonDifference, 0, len(list))
	for _, d := range list {
		jd := jsonDifference{Kind: string(d.Kind), Request: d.Request, Answer: d.Answer, Message: d.Message, Loop: d.Loop, Recorded: d.Recorded, Live: d.Live}
		for _, f := range d.Fields {
			jd.Fields = append(jd.Fields, jsonField(f))
		}
		all = append(all, jd)
	}
	return all
}

// junitSuite is a report as CI systems read it: one case for each difference,
// and one for the rest.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int64       `xml:"tests,attr"`
	Failures int64       `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Error   *junitFailure `xml:"error,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func junitReport(p *played, r *replay.Report, failed error) junitSuite {
	class := "replay." + safe(p.file)
	s := junitSuite{Name: class, Time: fmt.Sprintf("%.3f", r.Elapsed.Seconds())}
	rest := junitCase{Class: class, Name: fmt.Sprintf("%d of %d answers", r.Answered, r.Expected)}
	if failed != nil {
		s.Errors = 1
		rest.Error = &junitFailure{Message: safe(oneLine(failed.Error()))}
	}
	s.Cases = append(s.Cases, rest)
	if r.Refused > 0 {
		s.Cases = append(s.Cases, junitCase{Class: class, Name: "device", Failure: &junitFailure{Message: fmt.Sprintf("%d not taken by the device", r.Refused)}})
	}
	s.add(class, r.Differences, r.Total)
	return s
}

// add adds a case for each difference.
func (s *junitSuite) add(class string, list []replay.Difference, total int64) {
	for i := range list {
		d := &list[i]
		var b strings.Builder
		if err := printDifference(&b, d); err != nil {
			b.WriteString(err.Error())
		}
		s.Cases = append(s.Cases, junitCase{Class: class, Name: title(d), Failure: &junitFailure{Message: title(d), Text: b.String()}})
	}
	if more := total - int64(len(list)); more > 0 {
		s.Cases = append(s.Cases, junitCase{Class: class, Name: "others", Failure: &junitFailure{Message: count(more, "difference") + " more"}})
	}
	s.Tests, s.Failures = int64(len(s.Cases)), int64(len(s.Cases)-1)
}

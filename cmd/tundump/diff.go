package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tundump/replay"
)

// diffFlags are those of tundump diff.
type diffFlags struct {
	source  sourceFlags
	ignore  []string
	match   []string
	reports []string
	quiet   bool
}

func diffCommand() *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "compare two recorded sessions",
		Long: `Compares two captures as replay compares what came with what was recorded. What
the client asks in A is aligned with what it asks in B, by kind, the other end's
address and port, and the question, in order; then requests and answers are
compared, and for each TCP flow the bytes that it carried each way. Ports and
identifiers that are chosen anew each time may differ, and so may IP
identification, time to live, sequence numbers and the order of answers.

The first difference is shown side by side, the others follow. The exit code is
0 if the two are the same, 1 if not, 2 if they cannot be compared.`,
		Example: `  tundump diff before.pcapng after.pcapng
  tundump diff session.pcapng replayed.pcapng --ignore tcp.payload --report junit=diff.xml`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1]) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringArrayVar(&f.ignore, "ignore", nil, "field that may differ, or all below it (dns); repeatable")
	fl.StringArrayVar(&f.match, "match", nil, "what a field in B must look like instead of being as in A, FIELD=REGEX; repeatable")
	fl.StringArrayVar(&f.reports, "report", nil, "write a report, json=FILE or junit=FILE; repeatable")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print no differences, only the counts")
	f.source.register(fl)
	return c
}

func (f *diffFlags) run(cmd *cobra.Command, a, b string) (err error) {
	rules, err := replay.NewRules(f.ignore, f.match)
	if err != nil {
		return usage(fmt.Errorf("diff: %w", err))
	}
	for _, s := range f.reports {
		if _, _, err := splitReport(s); err != nil {
			return err
		}
	}
	var sources [2]rowsOf
	o, err := f.source.options()
	if err != nil {
		return err
	}
	for i, file := range [...]string{a, b} {
		c, err := openWhole(cmd, file, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		sources[i] = allRows(c.Store())
	}
	r, err := replay.Diff(sources[0], sources[1], rules)
	if err != nil {
		return usage(fmt.Errorf("diff: %w", err))
	}
	err = printDiff(cmd.OutOrStdout(), a, b, &r, f.quiet)
	for _, s := range f.reports {
		kind, file, serr := splitReport(s)
		if serr == nil {
			serr = writeDiff(kind, file, a, b, &r)
		}
		err = errors.Join(err, serr)
	}
	if !r.Same() {
		err = errors.Join(fmt.Errorf("diff: %s", count(r.Total, "difference")), err)
	}
	return err
}

// metric is one line of what is counted.
type metric struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

func metrics(r *replay.DiffReport) []metric {
	number := func(name string, a, b int64) metric { return metric{name, fmt.Sprint(a), fmt.Sprint(b)} }
	bytes := func(name string, a, b int64) metric { return metric{name, size(a), size(b)} }
	span := func(name string, a, b time.Duration) metric {
		return metric{name, a.Round(time.Microsecond).String(), b.Round(time.Microsecond).String()}
	}
	a, b := &r.A, &r.B
	return []metric{
		span("duration", a.Duration, b.Duration),
		number("tunnels", a.Tunnels, b.Tunnels),
		number("messages", a.Messages, b.Messages),
		number("packets up", a.Packets[0], b.Packets[0]),
		number("packets down", a.Packets[1], b.Packets[1]),
		bytes("bytes up", a.Bytes[0], b.Bytes[0]),
		bytes("bytes down", a.Bytes[1], b.Bytes[1]),
		number("flows", a.Flows, b.Flows),
		bytes("payload up", a.Payload[0], b.Payload[0]),
		bytes("payload down", a.Payload[1], b.Payload[1]),
		number("requests", a.Requests, b.Requests),
		number("answers", a.Answers, b.Answers),
		span("round trip p50", a.RTT.P50, b.RTT.P50),
		span("round trip p99", a.RTT.P99, b.RTT.P99),
		number("damaged", a.Damaged, b.Damaged),
	}
}

func printDiff(w io.Writer, a, b string, r *replay.DiffReport, quiet bool) error {
	var err error
	for i := range r.Differences {
		if quiet {
			break
		}
		if i == shownDifferences {
			_, werr := fmt.Fprintf(w, "and %s more\n", count(r.Total-shownDifferences, "difference"))
			err = errors.Join(err, werr)
			break
		}
		if i == 0 {
			_, werr := fmt.Fprintln(w, "first difference:")
			err = errors.Join(err, werr)
		}
		err = errors.Join(err, printDifference(w, &r.Differences[i]))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\t%s\t%s\n", safe(a), safe(b))
	for _, m := range metrics(r) {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", m.Name, m.A, m.B)
	}
	fmt.Fprintf(tw, "asked by both\t%d\t\ncompared\t%d\t\ndifferences\t%d\t\n", r.Asked, r.Compared, r.Total)
	return errors.Join(err, tw.Flush())
}

// jsonDiff is the report for programs.
type jsonDiff struct {
	A           string           `json:"a"`
	B           string           `json:"b"`
	Same        bool             `json:"same"`
	Asked       int64            `json:"asked"`
	Compared    int64            `json:"compared"`
	Total       int64            `json:"differences_total"`
	Differences []jsonDifference `json:"differences"`
	Metrics     []metric         `json:"metrics"`
}

func writeDiff(kind, file, a, b string, r *replay.DiffReport) error {
	var out []byte
	var err error
	if kind == "json" {
		j := jsonDiff{A: safe(a), B: safe(b), Same: r.Same(), Asked: r.Asked, Compared: r.Compared, Total: r.Total, Differences: jsonDifferences(r.Differences), Metrics: metrics(r)}
		out, err = json.MarshalIndent(j, "", "  ")
	} else {
		class := "diff." + safe(a) + "." + safe(b)
		s := junitSuite{Name: class, Time: "0", Cases: []junitCase{{Class: class, Name: fmt.Sprintf("%d compared", r.Compared)}}}
		s.add(class, r.Differences, r.Total)
		out, err = xml.MarshalIndent(s, "", "  ")
		out = append([]byte(xml.Header), out...)
	}
	if err == nil {
		err = os.WriteFile(file, append(out, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("diff: --report %s: %w", kind, err)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/cmd/tundump/output"
	"tundump/decode/filter"
)

// statsFlags are those of tundump stats.
type statsFlags struct {
	taps   []string
	files  []string
	format string
	graph  string
	filter filterFlag
	quiet  bool
	source sourceFlags
}

func statsCommand() *cobra.Command {
	var f statsFlags
	c := &cobra.Command{
		Use:   "stats FILE [-z TAP]...",
		Short: "count what is in a capture: conversations, protocols, rates, tunnels",
		Long: `Counts what is in a capture, by what -z names, in tshark's layout:

  conv,LAYER             who talks with whom; LAYER is ip, ipv6, tcp or udp
  endpoints,LAYER        what each address, or address and port, sends and receives
  io,phs                 the protocol hierarchy
  io,stat,INTERVAL       packets and bytes in intervals of so many seconds, 0 for one;
                         each ,FILTER that follows is a column, and so is
                         CALC(FIELD)FILTER with COUNT, SUM, MIN, MAX, AVG or LOAD
  dns,tree               DNS messages by kind, and their answers' times
  expert[,SEVERITY]      what is remarkable; from chat, note, warn or error on
  tunnel                 each tunnel: its life with times, messages by command, packets
                         in a message, what the framing costs, suspensions, throughput,
                         round trips, and what the configuration means

A filter may follow each but io,stat after a comma, and counts for that statistic
alone; -Y counts for all. Packets are counted for each tunnel by itself: two tunnels
may carry the same addresses. Without -z there is an overview.`,
		Example: `  tundump stats session.pcapng
  tundump stats session.pcapng -z conv,tcp -z io,phs
  tundump stats session.pcapng -z 'io,stat,1,tcp,udp,AVG(dns.time)dns.time'
  tundump stats session.pcapng -z tunnel -T json | jq .suspended
  tundump stats session.pcapng --graph rates.svg`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.files = append(f.files, args...)
			return f.run(cmd)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringArrayVarP(&f.taps, "statistic", "z", nil, "what to count; repeatable")
	fl.StringArrayVarP(&f.files, "read", "r", nil, "capture to count, as an argument is")
	f.filter.register(fl)
	fl.StringVarP(&f.format, "format", "T", "text", "how it is printed: text or json")
	fl.StringVar(&f.graph, "graph", "", "draw bytes per second over time into this SVG file; - draws on the terminal")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no summary on standard error; packets are never printed")
	f.source.register(fl)
	return c
}

func (f *statsFlags) run(cmd *cobra.Command) error {
	switch {
	case len(f.files) == 0:
		return usage(errors.New("stats: no capture is named; - is standard input"))
	case len(f.files) > 1:
		return usage(fmt.Errorf("stats: one capture at a time can be counted, and %d are named", len(f.files)))
	case f.format != "text" && f.format != "json":
		return usage(fmt.Errorf("-T %s: there is text and json", f.format))
	}
	so, err := f.source.options()
	if err != nil {
		return err
	}
	flt, err := f.filter.compile()
	if err != nil {
		return err
	}
	s, err := f.statistics(flt)
	if err != nil {
		return usage(err)
	}
	if err := f.count(cmd, so, s); err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), s)
}

// statistics returns what is counted.
func (f *statsFlags) statistics(flt *filter.Filter) (*output.Stats, error) {
	s, err := output.NewStats(f.taps, flt)
	if err != nil {
		return nil, err
	}
	if len(f.taps) == 0 && f.graph == "" {
		s.AddOverview()
	}
	if f.graph != "" {
		s.AddRates()
	}
	return s, nil
}

// count passes over the capture. What could be read of one that is damaged is
// counted; the error says what is wrong with it.
func (f *statsFlags) count(cmd *cobra.Command, o sniff.Options, s *output.Stats) error {
	c, err := openCapture(cmd.Context(), f.files[0], o)
	if err != nil {
		return err
	}
	pass := session.New(c.Store())
	err = s.Count(cmd.Context(), pass)
	err = passed(cmd, c, err)
	if cmd.Context().Err() != nil {
		err = nil // what was counted until then is printed
	}
	if !f.quiet && err == nil {
		writeSummary(cmd.ErrOrStderr(), pass.Seen(), nil)
	}
	return errors.Join(err, c.Close())
}

// print writes the tables and the graph.
func (f *statsFlags) print(w io.Writer, s *output.Stats) error {
	print := s.Text
	if f.format == "json" {
		print = s.JSON
	}
	if err := print(w); err != nil || f.graph == "" {
		return err
	}
	rates := s.Rates()
	if f.graph == "-" {
		_, err := fmt.Fprintln(w, output.Graph(&rates, output.GraphOptions{}))
		return err
	}
	file, err := os.OpenFile(f.graph, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return usage(fmt.Errorf("--graph: %w", err))
	}
	return errors.Join(output.WriteSVG(file, &rates), file.Close())
}

package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tundump/capture/pcapng"
	"tundump/capture/session"
	"tundump/capture/sniff"
	"tundump/cmd/tundump/output"
)

func readCommand() *cobra.Command {
	var print printFlags
	var source sourceFlags
	var files []string
	c := &cobra.Command{
		Use:   "read FILE...",
		Short: "print what is in captures",
		Long: `Prints the messages and packets of captures: those that tundump has recorded,
and pcap and pcapng files of anybody else, also compressed by gzip or zstd, in
which tunnels are found by what they send. A capture of bare IP packets is
printed as such. - reads standard input. A capture that is cut, because the
recording was killed or is still going on, is read up to its last whole block.`,
		Example: `  tundump read session.pcapng
  tundump read session.pcapng -V --messages -c 10
  tundump read session.pcapng --packets -Y 'tcp.port == 443 && tcp.flags.syn == 1'
  tundump read wireshark.pcap --port 8890
  tcpdump -i en0 -U -w - 'tcp port 8890' | tundump read -
  tundump read session.pcapng -T json | jq 'select(.type == "finding")'
  tundump read session.pcapng --packets -T fields -e frame.number -e ip.src -e dns.qry.name`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return readFiles(cmd, append(files, args...), &print, &source)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringArrayVarP(&files, "read", "r", nil, "capture to read, as an argument is; repeatable")
	source.register(fl)
	print.register(fl)
	return c
}

func readFiles(cmd *cobra.Command, files []string, print *printFlags, source *sourceFlags) error {
	if len(files) == 0 {
		return usage(errors.New("read: no capture is named; - is standard input"))
	}
	po, err := print.outputOptions()
	if err != nil {
		return err
	}
	so, err := source.options()
	if err != nil {
		return err
	}
	so.InOrder = true
	p := print.printer(cmd.OutOrStdout(), po)
	for _, path := range files {
		sum, lost, err := readFile(cmd, path, so, p)
		switch {
		case errors.Is(err, errEnough), cmd.Context().Err() != nil:
			writeSummary(cmd.ErrOrStderr(), sum, lost)
			writeMatched(cmd.ErrOrStderr(), p)
			return nil
		case err != nil:
			return err
		}
		writeSummary(cmd.ErrOrStderr(), sum, lost)
	}
	writeMatched(cmd.ErrOrStderr(), p)
	return nil
}

// readFile prints a capture. lost is nil if the capture says of no losses.
func readFile(cmd *cobra.Command, path string, o sniff.Options, p *output.Printer) (sum session.Summary, lost *pcapng.Losses, err error) {
	c, err := openCapture(cmd.Context(), path, o)
	if err != nil {
		return sum, nil, err
	}
	st := c.Store()
	s := session.New(st)
	err = pass(cmd.Context(), s, st, p)
	sum = s.Seen()
	err = passed(cmd, c, err)
	if l := st.Losses(); l != (pcapng.Losses{}) && !c.Foreign() {
		lost = &l
	}
	return sum, lost, errors.Join(err, c.Close())
}

// isFile reports whether name is a file rather than a word of the command
// line.
func isFile(name string) bool {
	info, err := os.Stat(filepath.Clean(name))
	return err == nil && !info.IsDir()
}

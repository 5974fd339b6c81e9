package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tundump/capture/sniff"
)

// sniffFlags are those of tundump sniff.
type sniffFlags struct {
	iface  string
	source sourceFlags
	print  printFlags
	record recordFlags
	log    logFlags
	ui     uiFlags
}

func sniffCommand() *cobra.Command {
	var f sniffFlags
	c := &cobra.Command{
		Use:   "sniff -i IFACE",
		Short: "show the tunnels that pass on a network interface",
		Long: `Captures on a network interface, finds the tunnels in what passes, and shows and
records them, with no proxy in the path. It needs root, or CAP_NET_RAW, and
Linux. On other systems tcpdump captures:

  tcpdump -i en0 -U -w - 'tcp port 8890' | tundump read -`,
		Example: `  tundump sniff -i eth0 --port 8890
  tundump sniff -i any -w session.pcapng
  tundump sniff -i any -Y 'dns && ip.addr == 10.8.0.0/16'
  tundump sniff -i tun0 --bare`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVarP(&f.iface, "interface", "i", "", "network interface to capture on; any for all")
	f.source.register(fl)
	f.record.register(fl)
	f.print.register(fl)
	f.log.register(fl)
	f.ui.register(fl)
	return c
}

func (f *sniffFlags) run(cmd *cobra.Command) error {
	if f.iface == "" {
		return usage(errors.New("sniff: -i is missing: name the network interface, or any"))
	}
	held, err := f.ui.start(cmd, false, &f.record)
	if err != nil {
		return err
	}
	err = f.capture(cmd, held != nil)
	return errors.Join(err, held.release())
}

// capture listens to the interface; screen says that the terminal UI shows it.
func (f *sniffFlags) capture(cmd *cobra.Command, screen bool) error {
	o, err := f.source.options()
	if err != nil {
		return err
	}
	log, err := f.log.logger(cmd)
	if err != nil {
		return err
	}
	po, err := f.print.outputOptions()
	if err != nil {
		return err
	}
	ro, err := f.record.options(cmd.OutOrStdout(), log)
	if err != nil {
		return err
	}
	f.print.quiet = f.print.quiet || f.record.path == "-"
	l, err := sniff.Listen(f.iface, o)
	if err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var out *live
	if screen {
		out, err = startShown(ro, po.DecodeAs)
	} else {
		out, err = startLive(ro, f.print.printer(cmd.OutOrStdout(), po), cancel)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	superviseRecording(ctx, out.recorder, f.record.isFile(), cancel, log)
	fmt.Fprintf(cmd.ErrOrStderr(), "tundump: capturing on %s\n", safe(f.iface))
	shown := out.show(ctx, cancel, o, cmd.ErrOrStderr())
	err = l.Run(ctx, out.recorder)
	cancel()
	err = errors.Join(err, <-shown, out.close(), l.Close())
	stats := out.recorder.Stats()
	lost := stats.Losses()
	writeSummary(cmd.ErrOrStderr(), out.summary, &lost)
	writeMatched(cmd.ErrOrStderr(), out.printer)
	st := l.Stats()
	fmt.Fprintf(cmd.ErrOrStderr(), "%d packets received, %d dropped by the kernel\n", st.Received, st.Dropped)
	return err
}

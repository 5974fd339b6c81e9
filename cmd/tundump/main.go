// Command tundump shows what packet tunnels carry: a dump proxy between a
// SimpleTunnel client and its server, with a server and a client of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tundump/cmd/tundump/early"
)

// Exit codes, as INTERFACE has them for every command.
const (
	exitDone   = 0
	exitFailed = 1 // it ran, and the answer is no or something failed on the way
	exitUsage  = 2 // the command line or an input file cannot be used
)

// usageError is an error of the command line or of an input file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func main() {
	early.Restore()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := interruptible()
	defer stop()
	root := command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	var unknown error
	helpOf(root, &unknown)
	err := errors.Join(root.ExecuteContext(ctx), unknown)
	if err == nil {
		return exitDone
	}
	text, _ := strings.CutPrefix(plain(err), "tundump: ")
	fmt.Fprintln(stderr, "tundump: "+safe(oneLine(text)))
	if ue := (usageError{}); errors.As(err, &ue) {
		return exitUsage
	}
	return exitFailed
}

// interruptible returns a context that ends at the first SIGINT or SIGTERM. At
// the second SIGINT the program exits at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if ctx.Err() != nil && s == os.Interrupt {
					os.Exit(exitFailed)
				}
				cancel()
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(); close(done) }
}

// oneLine makes one line of an error that has several.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tundump",
		Short: "see what a packet tunnel carries",
		Long: `tundump sits between a SimpleTunnel client (Apple's NEPacketTunnelProvider
sample and what is built on it) and its server, and shows every framed message
and every IP packet inside, as they pass. It records captures that Wireshark
opens, and brings a server and a client of its own.`,
		Example: `  tundump demo
  tundump proxy --listen :8890 --upstream tunnel.example:8890 -w session.pcapng
  tundump read session.pcapng`,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       cobra.ArbitraryArgs,
	}
	showVersion := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *showVersion {
			return printVersion(cmd)
		}
		return openOrHelp(cmd, args)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%s: %w; see %s --help", cmd.Name(), err, cmd.CommandPath()))
	})
	root.AddCommand(proxyCommand(), readCommand(), statsCommand(), openCommand(), sniffCommand(), serveCommand(), connectCommand(), demoCommand(), fieldsCommand(), versionCommand(), undoCommand())
	root.AddCommand(replayCommand(), diffCommand())
	root.AddCommand(exportCommand(), followCommand(), schemaCommand(), manCommand())
	root.AddCommand(filterTopic())
	root.SetHelpCommand(helpCommand())
	completionCommand(root)
	root.AddCommand(restoreTerminalCommands()...)
	completeFlags(root)
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	root.Args = usageArgs(root.Args)
	return root
}

// openOrHelp is what happens without a command: a file is opened, or printed
// where there is no terminal.
func openOrHelp(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return cmd.Help()
	case len(args) == 1 && hasTerminal() && isFile(args[0]):
		return openFiles(cmd, args, &sourceFlags{}, nil)
	case len(args) == 1 && (args[0] == "-" || isFile(args[0])):
		return readFiles(cmd, args, &printFlags{format: "text", stamp: "a"}, &sourceFlags{})
	}
	if isFile(args[0]) {
		return usage(fmt.Errorf("one file can be opened, and %d are named; tundump read prints several", len(args)))
	}
	return noCommand(cmd, args[0], "neither a command nor a file")
}

// usageArgs makes a wrong number of arguments an error of the command line.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			what := "an argument is missing"
			if len(args) > 0 {
				what = "the number of arguments is wrong"
			}
			return usage(fmt.Errorf("%s: %s; write %s", cmd.Name(), what, cmd.UseLine()))
		}
		return nil
	}
}

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tundump/decode/field"
)

func fieldsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fields [PATTERN]",
		Short: "list the fields of rows, for -e and filters",
		Example: `  tundump fields
  tundump fields tcp.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pattern := strings.Join(args, "")
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			found := false
			for _, f := range field.All() {
				if strings.Contains(f.Name, pattern) {
					fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.Type, f.Doc)
					found = true
				}
			}
			if !found {
				return fmt.Errorf("fields: no field has %q in its name", pattern)
			}
			return w.Flush()
		},
	}
}

// version is set by the linker for a release.
var version = ""

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return printVersion(cmd) },
	}
}

func printVersion(cmd *cobra.Command) error {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "tundump %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

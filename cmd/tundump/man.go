package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "write the manual pages",
		Long: `Writes a manual page for each command into DIR, which is made if need be. They say
what --help says.`,
		Example: `  tundump man ./man1 && man -l ./man1/tundump-read.1`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return writeManual(cmd.Root(), args[0]) },
	}
}

func writeManual(root *cobra.Command, dir string) error {
	root.DisableAutoGenTag = true // its date would make each run's pages differ
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usage(fmt.Errorf("man: %w", err))
	}
	header := &doc.GenManHeader{Title: "TUNDUMP", Section: "1", Source: "tundump", Manual: "tundump"}
	if err := doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: header, Path: filepath.Clean(dir), CommandSeparator: "-"}); err != nil {
		return fmt.Errorf("man: %w", err)
	}
	return nil
}

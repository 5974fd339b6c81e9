package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// words are what a shell completes behind a flag that takes one of a few words.
var words = map[string][]cobra.Completion{
	"as":         {"text", "hex", "raw"},
	"dir":        {"c2s", "s2c"},
	"log-format": {"text", "json"},
	"log-level":  {"debug", "info", "warn", "error"},
	"overload":   {"wait", "drop"},
	"pace":       {"recorded", "answer", "top"},
	"side":       {"0", "1", "both"},
	"split":      {"tunnel", "flow"},
	"statistic":  {"conv,ip", "conv,ipv6", "conv,tcp", "conv,udp", "endpoints,ip", "endpoints,ipv6", "endpoints,tcp", "endpoints,udp", "io,phs", "io,stat,", "dns,tree", "expert", "tunnel"},
	"time":       {"a", "ad", "d", "e", "r"},
	"tun-driver": {driverWater, driverWireGuard},
	"unmatched":  {"ignore", "rst", "icmp", "forward:"},
}

// formats are the words of the flag format, which commands mean differently.
var formats = map[string][]cobra.Completion{
	"export": {"pcapng", "pcap"},
	"stats":  {"text", "json"},
}

// wordsOf returns what completes flag of c, nil if it takes no words.
func wordsOf(c *cobra.Command, flag string) cobra.CompletionFunc {
	list, known := words[flag]
	switch {
	case flag == "interface":
		return completeInterface
	case flag == "format":
		if list, known = formats[c.Name()]; !known {
			list, known = []cobra.Completion{"text", "json", "fields"}, true
		}
	}
	if !known {
		return nil
	}
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
}

// completeInterface names the network interfaces of this machine.
func completeInterface(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	list := []cobra.Completion{"any"}
	all, err := net.Interfaces()
	if err != nil {
		return list, cobra.ShellCompDirectiveError
	}
	for _, i := range all {
		list = append(list, i.Name)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// noCommand is the error of a name that is none; beside what is nearest to it.
func noCommand(c *cobra.Command, name, what string) error {
	text := fmt.Sprintf("%q is %s", name, what)
	if s := c.SuggestionsFor(name); len(s) > 0 {
		text += "; did you mean " + s[0] + "?"
	}
	return usage(errors.New(text))
}

// helpCommand is cobra's, for which a command that there is not is no error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "what a command does, with its flags and examples",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) (list []cobra.Completion, _ cobra.ShellCompDirective) {
			if c, _, err := cmd.Root().Find(args); err == nil {
				for _, sub := range c.Commands() {
					if !sub.Hidden && strings.HasPrefix(sub.Name(), typed) {
						list = append(list, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				if c == nil {
					c = cmd.Root()
				}
				return noCommand(c, args[len(args)-max(len(rest), 1)], "no command")
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// helpOf has --help of a command that there is not fail, which the library takes
// for that of the program itself. The error is kept in failed, because the
// library's functions for help return none.
func helpOf(root *cobra.Command, failed *error) {
	usual := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if named := c.Flags().Args(); c == root && len(named) > 0 && !isFile(named[0]) {
			*failed = noCommand(root, named[0], "no command")
			return
		}
		usual(c, args)
	})
}

// completionCommand is the library's, which takes a shell that it does not know
// for no shell.
func completionCommand(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noCommand(c, args[0], "no shell that completions are for; there is bash, fish, powershell and zsh")
			}
			return c.Help()
		}
	}
}

// plain puts in plain words what Go says of a number and of standard output.
func plain(err error) string {
	text := err.Error()
	if t := (*fs.PathError)(nil); errors.As(err, &t) && t.Op == "write" && t.Path == os.Stdout.Name() {
		return strings.Replace(text, t.Error(), "cannot write the output: "+t.Err.Error(), 1)
	}
	var bad *strconv.NumError
	if !errors.As(err, &bad) {
		return text
	}
	why := "not a number"
	if errors.Is(bad.Err, strconv.ErrRange) {
		why = "out of range"
	}
	return strings.Replace(text, bad.Error(), why, 1)
}

package main

import (
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/decode/field"
	"tundump/decode/filter"
)

func fieldsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fields [PATTERN]",
		Short: "list the fields of rows, for -e and filters",
		Long: `Lists the fields by name, type and meaning: those with PATTERN, a regular
expression, in their name, or, if there are none, in their meaning.`,
		Example: `  tundump fields
  tundump fields tcp.
  tundump fields '^dns|^http'
  tundump fields certificate`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeField,
		RunE: func(cmd *cobra.Command, args []string) error {
			pattern := strings.Join(args, "")
			re, err := regexp.Compile("(?i)" + pattern)
			if err != nil {
				return usage(fmt.Errorf("fields: %w", err))
			}
			found := fieldsWith(func(f *field.Field) bool { return re.MatchString(f.Name) })
			if len(found) == 0 {
				found = fieldsWith(func(f *field.Field) bool { return re.MatchString(f.Doc) })
			}
			if len(found) == 0 {
				return fmt.Errorf("fields: no field has %q in its name or meaning", pattern)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, f := range found {
				fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.Type, f.Doc)
			}
			return w.Flush()
		},
	}
}

func fieldsWith(fits func(*field.Field) bool) (found []*field.Field) {
	all := field.All()
	for i := range all {
		if fits(&all[i]) {
			found = append(found, &all[i])
		}
	}
	return found
}

// completeFlags has the shell complete the names of fields wherever flags of
// c and the commands below it take them.
func completeFlags(c *cobra.Command) {
	special := map[string]cobra.CompletionFunc{"field": completeField, "display-filter": completeFilter, "drop": completeFilter}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		complete := special[f.Name]
		if complete == nil {
			complete = wordsOf(c, f.Name)
		}
		if _, done := c.GetFlagCompletionFunc(f.Name); done || complete == nil {
			return
		}
		if err := c.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err) // there is no such flag, which was asked just before
		}
	})
	for _, sub := range c.Commands() {
		completeFlags(sub)
	}
}

func completeField(_ *cobra.Command, _ []string, typed string) (list []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, f := range fieldsWith(func(f *field.Field) bool { return strings.HasPrefix(f.Name, typed) }) {
		list = append(list, cobra.CompletionWithDesc(f.Name, f.Doc))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// completeFilter goes on with a filter that ends where it is typed.
func completeFilter(_ *cobra.Command, _ []string, typed string) (list []cobra.Completion, _ cobra.ShellCompDirective) {
	from, _, candidates := filter.Complete(typed, len(typed))
	for _, c := range candidates {
		list = append(list, cobra.CompletionWithDesc(typed[:from]+c.Text, c.Doc))
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// filterTopic is the reference of the filter language: tundump help filter.
func filterTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "filter",
		Short: "the display filter language of -Y and --drop",
		Args:  cobra.NoArgs,
		Long: `The language is Wireshark's, over the fields that tundump fields lists.

  tcp   dns.qry.name                    the packet has the protocol, the row the field
  == != < <= > >=                       also eq ne lt le gt ge
  contains "text"   contains 16:03:01   text or bytes inside
  matches "regular expression"          RE2, without regard to case; r"\d+" keeps backslashes
  in {80, 443, 8000..8999}   not in {…} one of a set
  and or xor not   && || ^^ !   ( )     logic
  tcp.payload[0:3]  [1-2] [4] [:2] [-2:]  bytes, several with commas: [0,2-3]
  len() count() lower() upper() string() min() max() abs()
  tcp.flags & 0x12   + - * / %   { }    bits and arithmetic
  any F == …   all F == …               any or all of the values that a field has
  === !==                               all equal, any not equal

  Numbers: 443 0x1bb 0673 0b11 'A'      Addresses: 10.0.0.1 10.0.0.0/8 fd00::/8
  Bytes: 16:03:01 16-03-01 160301       Flags: 1 0 True False
  Times: seconds, or "2026-11-28 10:30:00", local unless it ends in Z
  Names for numbers, as tshark has them: tls.handshake.type == "Client Hello"

A field that has several values passes == and the others if any of them does,
and != if none is equal. A comparison with a field that a row does not have is
false, so that ip.addr != 10.0.0.1 is about IPv4 packets only, and
!(ip.addr == 10.0.0.1) about everything.

A message is asked through the packets that it carries: it passes when any
packet inside passes the whole filter, and tunnel.* is the message itself.
--drop has no fields that need the packets before, as tcp.analysis does.`,
		Example: `  tundump read session.pcapng --packets -Y 'tcp.port == 443 && tcp.flags.syn == 1'
  tundump read session.pcapng -Y 'tunnel.command.name == "Close" || tunnel.error'
  tundump read session.pcapng -Y 'dns.flags.rcode != 0 or dns.time > 0.5'
  tundump proxy --upstream 10.0.0.5:8890 --drop 'udp.dstport == 443'`,
	}
}

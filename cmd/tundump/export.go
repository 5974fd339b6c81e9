package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tundump/capture/export"
	"tundump/capture/notes"
	"tundump/capture/session"
	"tundump/capture/store"
	"tundump/decode/rewrite"
)

// exportFlags are those of tundump export.
type exportFlags struct {
	source    sourceFlags
	filter    filterFlag
	path      string
	format    string
	split     string
	count     int64
	appProxy  bool
	outer     bool
	anonymize bool
	keyFile   string
	payload   string
	quiet     bool
}

func exportCommand() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export FILE -w OUT|--payload DIR",
		Short: "write the packets inside the tunnels as a capture for other tools",
		Long: `Writes the packets inside the tunnels of a capture as a capture of their own,
for Wireshark, tcpdump, tcpreplay, Zeek and whatever else reads packets: pcapng,
or classic pcap if OUT ends in .pcap or .cap, or -F says so. FILE may be any
capture that tundump read prints, and - is standard input; -w - is standard
output.

In pcapng each packet has its direction and, as a comment, the message that
carried it. Notes and names from FILE.notes are merged in. Without a filter,
packet n of OUT is the one that tundump numbers n.

--app-proxy adds the connections of app proxies, which are no packets in the
tunnel, rebuilt as TCP and UDP packets, between addresses for documentation
where only a name is known; the packets' numbers are others then. --outer writes
the tunnels' own TCP connections instead, as the client sees them.

--split makes several files: OUT-T1.pcapng for each tunnel, or for each flow
OUT-T1-tcp0.pcapng, OUT-T1-udp3.pcapng, OUT-T1-id7.pcapng (an app proxy's) and
OUT-T1-other.pcapng. The numbers are those of tcp.stream and udp.stream.

--payload writes what was said over flows, with -w or alone, to files in DIR,
which is made: T1-tcp0-0.bin is what who sent first said in TCP flow 0 of tunnel
1, T1-tcp0-1.bin what the other side said, T1-udp3-0.bin datagrams one after the
other, and T1-id7-0.bin what the client said over an app proxy's connection.
Bytes that are missing in the capture are left out and counted.

--anonymize makes a capture that can be shown to others. Addresses are changed
so that two with a common prefix still have one, names and payloads are zero,
notes are left out; lengths, times, ports, sequence numbers and flags stay, and
checksums are right. The mapping is a new one each time, unless a key is kept in
a file: --anonymize-key makes it if there is none.`,
		Example: `  tundump export session.pcapng -w inner.pcapng
  tundump export session.pcapng -w - | tshark -r - -q -z conv,tcp
  tundump export wireshark.pcap -w dns.pcap -Y dns
  tundump export session.pcapng -w flows/f.pcap --split flow
  tundump export session.pcapng --payload files -Y 'http || tcp.port == 80'
  tundump export session.pcapng -w shared.pcapng --anonymize
  tcpdump -i en0 -U -w - 'tcp port 8890' | tundump export - -w - | wireshark -k -i -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVarP(&f.path, "write", "w", "", "file to write; - is standard output")
	fl.StringVarP(&f.format, "format", "F", "", "pcapng or pcap; default: by the suffix of OUT, else pcapng")
	f.filter.register(fl)
	fl.Int64VarP(&f.count, "count", "c", 0, "stop after so many packets")
	fl.StringVar(&f.split, "split", "", "tunnel or flow: a file for each")
	fl.BoolVar(&f.appProxy, "app-proxy", false, "add the connections of app proxies, rebuilt as packets")
	fl.BoolVar(&f.outer, "outer", false, "the tunnels' own TCP connections instead of what is inside")
	fl.StringVar(&f.payload, "payload", "", "folder for what was said over the flows")
	fl.BoolVar(&f.anonymize, "anonymize", false, "change addresses, remove names and payloads")
	fl.StringVar(&f.keyFile, "anonymize-key", "", "file with the key of --anonymize, so that several exports are changed alike; made if there is none")
	f.source.register(fl)
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print no summary")
	return c
}

func (f *exportFlags) run(cmd *cobra.Command, file string) error {
	o, err := f.options(cmd, file)
	if err != nil {
		return err
	}
	c, err := f.source.open(cmd.Context(), file)
	if err != nil {
		return err
	}
	e, err := export.New(o)
	if err != nil {
		return errors.Join(usage(err), c.Close())
	}
	s := session.New(c.Store())
	p := startProgress(cmd.ErrOrStderr(), f.quiet)
	err = exportRows(cmd.Context(), s, c.Store(), e, p)
	p.end()
	if cerr := e.Close(); err == nil {
		err = cerr
	}
	err = passed(cmd, c, err)
	f.report(cmd, e.Stats(), err)
	return errors.Join(err, c.Close())
}

// exportRows hands the rows to e until there are no more, e has enough, or ctx
// is done: what is complete then stays.
func exportRows(ctx context.Context, s *session.Session, st *store.Store, e *export.Exporter, p *progress) error {
	for {
		row, err := s.Next(ctx)
		switch {
		case err == io.EOF, err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		more, err := e.Add(row)
		if err != nil || !more {
			return err
		}
		if row.Index == st.Len()-1 { // nothing more is there yet: show what is
			if err := e.Flush(); err != nil {
				return err
			}
		}
		p.at(row.Index+1, st)
	}
}

func (f *exportFlags) options(cmd *cobra.Command, file string) (o export.Options, err error) {
	o = export.Options{Path: f.path, Count: f.count, AppProxy: f.appProxy, Outer: f.outer}
	switch {
	case f.path == "" && f.payload == "":
		return o, usage(errors.New("export: where to? -w OUT names a file, - is standard output; --payload DIR a folder for the contents of flows"))
	case f.payload != "" && (f.outer || f.anonymize):
		return o, usage(errors.New("export: --payload writes what is inside as it is: --outer and --anonymize do not go with it"))
	case f.path == "" && (f.split != "" || f.anonymize || f.outer || f.appProxy || f.format != ""):
		return o, usage(errors.New("export: packets where to? -w OUT names a file"))
	case f.outer && (f.anonymize || f.appProxy || f.filter.text != ""):
		return o, usage(errors.New("export: --outer writes the tunnels' own connections as they are: -Y, --app-proxy and --anonymize are for what is inside"))
	case f.keyFile != "" && !f.anonymize:
		return o, usage(errors.New("export: --anonymize-key is the key of --anonymize"))
	case f.count < 0:
		return o, usage(fmt.Errorf("-c %d: a count is not negative", f.count))
	case sameFile(file, f.path):
		return o, usage(fmt.Errorf("export: %s would be written over while it is read; name another file with -w", f.path))
	}
	if o.Format, err = exportFormat(f.format, f.path); err != nil {
		return o, err
	}
	switch f.split {
	case "":
	case "tunnel":
		o.Split = export.ByTunnel
	case "flow":
		o.Split = export.ByFlow
	default:
		return o, usage(fmt.Errorf("--split %s: there is tunnel and flow", f.split))
	}
	if o.Payload = f.payload; f.payload != "" {
		if err := os.MkdirAll(f.payload, 0o700); err != nil {
			return o, usage(fmt.Errorf("--payload: %w", err))
		}
	}
	if f.path == "-" {
		if o.Split != export.NoSplit {
			return o, usage(errors.New("--split makes several files: -w names the first, and standard output is but one"))
		}
		o.Path, o.Output = "", cmd.OutOrStdout()
	}
	if o.Filter, err = f.filter.compile(); err != nil {
		return o, err
	}
	if f.anonymize {
		key, err := anonymizeKey(f.keyFile)
		if err != nil {
			return o, usage(err)
		}
		if o.Anonymizer, err = rewrite.NewAnonymizer(key); err != nil {
			return o, usage(err)
		}
	} else if file != "-" {
		if o.Notes, err = notes.Of(file); err != nil {
			return o, usage(err)
		}
		if n := o.Notes.Skipped; n > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "tundump: warning: %s%s: %s not understood and left out\n", safe(file), notes.Suffix, count(int64(n), "line"))
		}
	}
	return o, nil
}

// exportFormat is what -F says, or the suffix of the file.
func exportFormat(word, path string) (export.Format, error) {
	if word == "" {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".pcap", ".cap":
			return export.Pcap, nil
		}
		return export.Pcapng, nil
	}
	switch word {
	case "pcapng":
		return export.Pcapng, nil
	case "pcap":
		return export.Pcap, nil
	}
	return 0, usage(fmt.Errorf("-F %s: there is pcapng and pcap", word))
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// anonymizeKey is the key in a file, which is made if there is none; or a new
// one without a file.
func anonymizeKey(path string) ([]byte, error) {
	if path != "" {
		switch key, err := os.ReadFile(path); {
		case err == nil && len(key) != rewrite.KeySize:
			return nil, fmt.Errorf("--anonymize-key %s: a key has %d bytes, and the file %d", path, rewrite.KeySize, len(key))
		case err == nil:
			return key, nil
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("--anonymize-key: %w", err)
		}
	}
	key := make([]byte, rewrite.KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("no random key: %w", err)
	}
	if path == "" {
		return key, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--anonymize-key: %w", err)
	}
	_, err = f.Write(key)
	return key, errors.Join(err, f.Close())
}

// report prints what was written, and what the user may have missed.
func (f *exportFlags) report(cmd *cobra.Command, st export.Stats, err error) {
	w := cmd.ErrOrStderr()
	if f.quiet || err != nil {
		return
	}
	if f.path != "" {
		fmt.Fprintf(w, "%s written to %s\n", count(st.Packets, "packet"), count(int64(st.Files), "file"))
	}
	if f.payload != "" {
		fmt.Fprintf(w, "%s of payload written to %s\n", size(st.PayloadBytes), count(int64(st.Payloads), "file"))
	}
	if st.Missing > 0 {
		fmt.Fprintf(w, "%s of the flows are missing in the capture and left out\n", count(st.Missing, "byte"))
	}
	if st.Flows > 0 {
		fmt.Fprintf(w, "%s of app proxies left out; --app-proxy adds them as packets\n", count(st.Flows, "connection"))
	}
	if st.NotesLeft > 0 {
		fmt.Fprintf(w, "%s of messages without a packet behind them left out\n", count(int64(st.NotesLeft), "note"))
	}
	if cmd.Context().Err() != nil {
		fmt.Fprintln(w, "stopped before the end; what was written is complete up to there")
	}
}

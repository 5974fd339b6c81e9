package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/capture/record"
	"tundump/cmd/tundump/output"
	"tundump/decode/field"
	"tundump/decode/filter"
)

// printFlags say how rows are printed; the letters are tshark's and tcpdump's.
type printFlags struct {
	format  string
	fields  []string
	options []string
	stamp   string
	noNames bool
	decode  []string
	filter  filterFlag
	opt     output.Options
	quiet   bool
}

const decodeAsHelp = "take a port's packets for a protocol: tcp.port==8443,http; repeatable"

func (p *printFlags) register(f *pflag.FlagSet) {
	p.filter.register(f)
	f.StringVarP(&p.format, "format", "T", "text", "how rows are printed: text, json or fields")
	f.StringArrayVarP(&p.fields, "field", "e", nil, "field to print with -T fields; repeatable (tundump fields lists them)")
	f.StringArrayVarP(&p.options, "option", "E", nil, "option of -T fields: header=y, separator=,")
	f.BoolVarP(&p.opt.Detail, "detail", "V", false, "print the full tree of each row")
	f.BoolVarP(&p.opt.Hex, "hex", "x", false, "print the bytes of each row")
	f.StringArrayVarP(&p.decode, "decode-as", "d", nil, decodeAsHelp)
	f.StringVarP(&p.stamp, "time", "t", "a", "time stamps: a time of day, ad with date, d since the line before, r since the first, e since 1970")
	f.BoolVarP(&p.opt.Verbose, "verbose", "v", false, "print more in each line, measurements and notes")
	f.BoolVarP(&p.quiet, "quiet", "q", false, "print nothing but the summary")
	f.Int64VarP(&p.opt.Count, "count", "c", 0, "stop after so many messages (packets with --packets)")
	f.BoolVar(&p.opt.Packets, "packets", false, "print only inner packets")
	f.BoolVar(&p.opt.Messages, "messages", false, "print only messages")
	f.BoolVarP(&p.noNames, "no-names", "n", false, "look up no names (it never does)")
}

// options checks the flags and returns what they ask for.
func (p *printFlags) outputOptions() (output.Options, error) {
	o := p.opt
	switch p.format {
	case "text":
	case "json":
		o.Format = output.JSON
	case "fields":
		o.Format = output.Fields
	default:
		return o, usage(fmt.Errorf("-T %s: there is text, json and fields", p.format))
	}
	for _, name := range p.fields {
		f, ok := field.Lookup(name)
		if !ok {
			return o, usage(unknownField(name))
		}
		o.Fields = append(o.Fields, f)
	}
	if o.Format == output.Fields && len(o.Fields) == 0 {
		return o, usage(fmt.Errorf("-T fields: which? name them with -e"))
	}
	var err error
	if o.DecodeAs, err = parseDecodeAs(p.decode); err != nil {
		return o, usage(err)
	}
	if o.Stamp, err = output.ParseStamp(p.stamp); err != nil {
		return o, usage(fmt.Errorf("-t: %w", err))
	}
	if o.Packets && o.Messages {
		return o, usage(fmt.Errorf("--packets and --messages leave nothing to print"))
	}
	if o.Count < 0 {
		return o, usage(fmt.Errorf("-c %d: a count is not negative", o.Count))
	}
	if o.Filter, err = p.filter.compile(); err != nil {
		return o, err
	}
	return o, p.separators(&o)
}

// printer returns what prints to w, nil if nothing is to be printed or counted.
func (p *printFlags) printer(w io.Writer, o output.Options) *output.Printer {
	if o.Quiet = p.quiet; o.Quiet && o.Count == 0 && o.Filter == nil {
		return nil
	}
	return output.New(w, o)
}

// filterFlag is the display filter of every command that has one.
type filterFlag struct{ text string }

func (x *filterFlag) register(f *pflag.FlagSet) {
	f.StringVarP(&x.text, "display-filter", "Y", "", "only the rows that match this display filter, Wireshark's language over the fields of tundump fields")
}

// compile returns the filter, nil if none was given.
func (x *filterFlag) compile() (*filter.Filter, error) {
	if x.text == "" {
		return nil, nil
	}
	flt, err := filter.Compile(x.text)
	if err != nil {
		return nil, usage(fmt.Errorf("-Y: %w", err))
	}
	return flt, nil
}

// separators reads -E: header=y, separator=TEXT, or both with a comma between.
func (p *printFlags) separators(o *output.Options) error {
	for _, e := range p.options {
		for rest := e; rest != ""; {
			key, value, _ := strings.Cut(rest, "=")
			rest = ""
			switch key {
			case "header":
				value, rest, _ = strings.Cut(value, ",")
				if value != "y" && value != "n" {
					return usage(fmt.Errorf("-E %s: header is y or n", e))
				}
				o.Header = value == "y"
			case "separator":
				if i := strings.Index(value, ",header="); i >= 0 {
					value, rest = value[:i], value[i+1:]
				}
				o.Separator = separator(value)
			default:
				return usage(fmt.Errorf("-E %s: there is header=y|n and separator=TEXT", e))
			}
		}
	}
	return nil
}

// separator reads tshark's words for a tab and a space.
func separator(s string) string {
	switch s {
	case "/t":
		return "\t"
	case "/s":
		return " "
	}
	return s
}

func unknownField(name string) error {
	if n := field.Nearest(name); n != "" {
		return fmt.Errorf("there is no field %q; there is %s", name, n)
	}
	return fmt.Errorf("there is no field %q; tundump fields lists them", name)
}

// recordFlags say how a capture is written.
type recordFlags struct {
	path     string
	size     string
	every    string
	files    int
	overload string
	keep     string
	noInner  bool
}

func (r *recordFlags) register(f *pflag.FlagSet) {
	f.StringVarP(&r.path, "write", "w", "", "write a capture (pcapng) that Wireshark opens; - is standard output, and implies -q")
	f.StringVarP(&r.size, "rotate-size", "C", "", "with -w: go on in FILE1, FILE2… when a file has so many million bytes (or 10MiB)")
	f.StringVarP(&r.every, "rotate-seconds", "G", "", "with -w: go on in a new file after so many seconds (or 1h); %Y %m %d %H %M %S and others of strftime's in the name stand for the time")
	f.IntVarP(&r.files, "rotate-count", "W", 0, "with -C: a ring of so many files; with -G alone: stop after so many")
	f.StringVar(&r.overload, "overload", "wait", "when recording is slower than the tunnel: wait, and count the time, or drop, and count the events")
	f.StringVar(&r.keep, "keep", "", "how much is kept of what passed: without -w, 1GiB unless you say otherwise; with -w and -C or -G, the oldest files are deleted until the others fit")
	f.BoolVar(&r.noInner, "no-inner", false, "do not write the inner packets a second time, on their own interface")
}

func (r *recordFlags) options(stdout io.Writer, log *slog.Logger) (record.Options, error) {
	o := record.Options{Path: r.path, NoInner: r.noInner, Logger: log}
	if r.path == "-" {
		o.Path, o.Output = "", stdout
	}
	switch r.overload {
	case "wait":
	case "drop":
		o.Overload = record.Drop
	default:
		return o, usage(fmt.Errorf("--overload %s: there is wait and drop", r.overload))
	}
	var err error
	if o.Rotation, err = r.rotation(); err != nil {
		return o, usage(err)
	}
	if r.keep != "" {
		if o.Keep, err = parseSize(r.keep); err != nil {
			return o, usage(fmt.Errorf("--keep: %w", err))
		}
		if r.isFile() && (o.Rotation == record.Rotation{}) {
			return o, usage(errors.New("--keep deletes files that were rotated away: with -w it needs -C or -G"))
		}
		if o.Keep < o.Rotation.Size {
			return o, usage(fmt.Errorf("--keep %s is less than one file of -C %s", r.keep, r.size))
		}
	}
	return o, nil
}

// isFile reports whether the capture has a file's name.
func (r *recordFlags) isFile() bool { return r.path != "" && r.path != "-" }

// rotation reads -C, -G and -W.
func (r *recordFlags) rotation() (rot record.Rotation, err error) {
	if r.size == "" && r.every == "" && r.files == 0 {
		return rot, nil
	}
	if !r.isFile() {
		return rot, errors.New("-C, -G and -W make several files: name the first with -w FILE")
	}
	if rot.Files = r.files; rot.Files < 0 || rot.Files > 0 && r.size == "" && r.every == "" {
		return rot, fmt.Errorf("-W %d: a number of files; it needs -C or -G", r.files)
	}
	if r.size != "" {
		if rot.Size, err = parseMillions(r.size); err != nil {
			return rot, fmt.Errorf("-C: %w", err)
		}
	}
	if r.every != "" {
		if rot.Every, err = parseSeconds(r.every); err != nil {
			return rot, fmt.Errorf("-G: %w", err)
		}
	}
	return rot, nil
}

// parseMillions reads tcpdump's -C: a bare number is millions of bytes.
func parseMillions(s string) (int64, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		s += "MB"
	}
	return parseSize(s)
}

// parseSeconds reads tcpdump's -G, or Go's form of a duration.
func parseSeconds(s string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no interval; write 3600 or 1h", s)
	}
	return d, nil
}

// logFlags say what is logged and how.
type logFlags struct{ level, format string }

func (l *logFlags) register(f *pflag.FlagSet) {
	f.StringVar(&l.level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&l.format, "log-format", "text", "text or json")
}

// json reports whether a program reads the log: then nothing else goes there.
func (l *logFlags) json() bool { return l.format == "json" }

func (l *logFlags) logger(cmd *cobra.Command) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, usage(fmt.Errorf("--log-level %s: there is debug, info, warn and error", l.level))
	}
	o := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), o)), nil
	}
	return nil, usage(fmt.Errorf("--log-format %s: there is text and json", l.format))
}

// parseSize reads a number of bytes: 4096, 128KiB, 10MB.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMGTiBkmgtb")
	n, err := strconv.ParseFloat(digits, 64)
	factor, ok := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[strings.ToLower(s[len(digits):])]
	if err != nil || !ok || n <= 0 || n*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is no size; write 4096, 128KiB or 10MB", s)
	}
	return int64(n * factor), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tundump/capture/pcapng"
	"tundump/capture/record"
	"tundump/capture/session"
	"tundump/capture/store"
	"tundump/cmd/tundump/output"
	"tundump/decode"
	"tundump/decode/packet"
)

// errEnough ends a pass because all that was asked for has been printed.
var errEnough = errors.New("enough was printed")

// pass prints the rows of st, which s passes over, until the capture is
// complete, ctx is done or enough was printed. A nil printer prints nothing.
func pass(ctx context.Context, s *session.Session, st *store.Store, p *output.Printer) error {
	if p != nil {
		s.DecodeAs(p.DecodeAs())
		s.Follow(p.Depth())
	}
	err := rows(ctx, s, st, p)
	if p != nil {
		if ferr := p.Flush(); err == nil && ferr != nil {
			err = printError{ferr}
		}
	}
	return err
}

func rows(ctx context.Context, s *session.Session, st *store.Store, p *output.Printer) error {
	for {
		row, err := s.Next(ctx)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case p == nil:
			continue
		}
		more, err := p.Row(row)
		if err != nil {
			return printError{err}
		}
		if !more {
			return errEnough
		}
		if row.Index == st.Len()-1 { // nothing more is there: show what is
			if err := p.Flush(); err != nil {
				return printError{err}
			}
		}
	}
}

// printError says that the rows are there and cannot be printed.
type printError struct{ error }

func (e printError) Unwrap() error { return e.error }

// live is a recorder with a pass behind it that prints or shows what it has
// written.
type live struct {
	recorder *record.Recorder
	printer  *output.Printer
	source   *viewSource // for the screen, in the printer's place; else nil
	done     chan struct{}
	summary  session.Summary
	err      error
}

// idleFlow is how long a live flow is remembered without a packet: as long as
// a connection may be idle before a NAT may forget it, RFC 5382 section 5.
const idleFlow = 2*time.Hour + 4*time.Minute

// startLive starts the recorder and the pass. The pass's goroutine ends when
// the recorder is closed, or when enough was printed; then it calls enough.
// Where printing fails it goes on without, for the summary: what ends there is
// nobody's tunnel.
func startLive(o record.Options, p *output.Printer, enough func()) (*live, error) {
	r, err := record.New(o)
	if err != nil {
		return nil, usage(err)
	}
	l := &live{recorder: r, printer: p, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		// The pass ends with the recorder and not with the command, so that
		// everything that was recorded is printed.
		s := session.New(r.Store())
		s.ForgetIdle(idleFlow)
		l.err = pass(context.Background(), s, r.Store(), p)
		if errors.As(l.err, new(printError)) {
			o.Logger.Error("printing stopped; the tunnels go on", "error", l.err)
			l.err = errors.Join(l.err, pass(context.Background(), s, r.Store(), nil))
		} else if l.err != nil {
			enough()
		}
		l.summary = s.Seen()
	}()
	return l, nil
}

// close ends the recording, waits for what is still to be printed, and returns
// what went wrong.
func (l *live) close() error {
	err := l.recorder.Close()
	<-l.done
	if l.err != nil && !errors.Is(l.err, errEnough) && !errors.Is(l.err, err) { // the store ends with the recorder's error
		err = errors.Join(err, l.err)
	}
	if l.source != nil {
		err = errors.Join(err, l.source.close())
	}
	return errors.Join(err, l.recorder.Store().Close())
}

// writeSummary prints what a pass saw, and what the recording lost if that is
// known.
func writeSummary(w io.Writer, s session.Summary, lost *pcapng.Losses) {
	parts := []string{
		count(s.Tunnels, "tunnel"), count(s.Messages, "message"), count(s.Packets[0]+s.Packets[1], "packet"),
		fmt.Sprintf("%s up, %s down", size(s.Bytes[decode.ClientToServer]), size(s.Bytes[decode.ServerToClient])),
	}
	if s.Unframed > 0 {
		parts = append(parts, size(s.Unframed)+" unframed")
	}
	parts = append(parts, count(s.Problems[decode.Error], "error"), count(s.Problems[decode.Warning], "warning"))
	if s.Missed > 0 {
		parts = append(parts, count(s.Missed, "row")+" gone before they were printed")
	}
	if s.Flows > 0 {
		parts = append(parts, count(s.Flows, "idle flow")+" forgotten")
	}
	if lost != nil {
		parts = append(parts, fmt.Sprintf("waited %s in %s", lost.Waited.Round(time.Microsecond), count(lost.Waits, "wait")))
		if n := lost.Events(); n > 0 {
			parts = append(parts, fmt.Sprintf("%s not recorded", count(n, "event")))
		}
	}
	parts = append(parts, fmt.Sprintf("%.1f s", s.Duration().Seconds()))
	fmt.Fprintln(w, strings.Join(parts, ", "))
}

// writeMatched prints how much the display filter has left, if there is one.
func writeMatched(w io.Writer, p *output.Printer) {
	if p == nil || !p.Filters() {
		return
	}
	messages, packets := p.Matched()
	fmt.Fprintf(w, "%s and %s match the filter\n", count(messages, "message"), count(packets, "packet"))
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func size(n int64) string { return string(decode.AppendSize(nil, n)) }

// safe makes text from the network fit for a terminal.
func safe(s string) string { return string(packet.AppendSafe(nil, s)) }

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"tundump/capture"
	"tundump/capture/pcapng"
	"tundump/capture/record"
	"tundump/capture/session"
	"tundump/decode"
)

// superviseRecording opens the capture again at SIGHUP, and calls enough when
// all files that were asked for are written. Its goroutine ends with ctx.
func superviseRecording(ctx context.Context, r *record.Recorder, named bool, enough func(), log *slog.Logger) {
	hup := make(chan os.Signal, 1)
	if named && !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hup, syscall.SIGHUP) // it never comes on Windows
	}
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-hup:
				r.Reopen()
			case <-r.Complete():
				log.Info("all files that were asked for with -W are written")
				enough()
				return
			case <-ctx.Done():
				return
			}
		}
	}()
}

// tunnelLog logs what tunnels do, for a proxy that prints nothing.
type tunnelLog struct {
	capture.Tap
	log *slog.Logger
}

func (l tunnelLog) Offer(b *capture.Batch) {
	l.Tap.Offer(b)
	for i := range b.Events {
		ev := &b.Events[i]
		d := ev.Detail
		if d == nil {
			continue
		}
		switch ev.Kind {
		case decode.Opened:
			l.log.Info("tunnel opened", "tunnel", ev.Tunnel, "client", d.Client, "listener", d.Listener, "upstream", d.Upstream)
		case decode.Refused:
			l.log.Warn("upstream refused", "tunnel", ev.Tunnel, "reason", d.Reason)
		case decode.Closed:
			l.log.Info("tunnel closed", "tunnel", ev.Tunnel, "by", d.By.String(), "reason", d.Reason)
		}
	}
}

// logSummary is writeSummary for programs that read the log.
func logSummary(log *slog.Logger, s session.Summary, lost pcapng.Losses) {
	log.Info("summary",
		"tunnels", s.Tunnels, "messages", s.Messages, "packets", s.Packets[0]+s.Packets[1],
		"bytes_c2s", s.Bytes[decode.ClientToServer], "bytes_s2c", s.Bytes[decode.ServerToClient], "unframed", s.Unframed,
		"errors", s.Problems[decode.Error], "warnings", s.Problems[decode.Warning], "missed", s.Missed,
		"waits", lost.Waits, "waited_seconds", lost.Waited.Seconds(), "dropped", lost.Events(), "seconds", s.Duration().Seconds())
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tundump/capture/session"
	"tundump/decode"
	"tundump/decode/stats"
	"tundump/tui"
)

// linkMTU is the MTU of the link under a tunnel that configurations are told
// against: Ethernet's.
const linkMTU = 1500

// Tunnels implements tui.Source.
func (s *viewSource) Tunnels(ctx context.Context) ([]tui.Tunnel, error) {
	kept := s.view.Stats().Tunnels
	list := make([]tui.Tunnel, 0, len(kept))
	for _, t := range kept {
		if t.Number == 0 {
			continue // packets outside any tunnel
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list = append(list, s.tunnel(ctx, t))
	}
	return list, nil
}

func (s *viewSource) tunnel(ctx context.Context, t *stats.Tunnel) tui.Tunnel {
	out := tui.Tunnel{
		Number: t.Number, Client: t.Client, Listener: t.Listener, Upstream: t.Upstream,
		Opened: t.Accepted, Ended: t.Closed, Midway: t.Midstream, Refused: t.Refused != 0, By: t.By, Reset: t.Reset != 0, Reason: t.Reason,
		Messages: t.Messages[0].N + t.Messages[1].N, Problems: t.Problems,
		Suspends: int(t.Suspends), Suspended: time.Duration(t.Suspended),
	}
	if out.Opened == 0 {
		out.Opened = t.First
	}
	for d := range 2 {
		out.Bytes[d] = t.Messages[d].Bytes + t.Unframed[d].Bytes
		out.Packets[d] = t.Packets[d].N
		out.Blocked[d] = time.Duration(t.Blocked[d].Sum)
		// The screen has the client's side first; measurements are by direction.
		out.RTT[1-d] = time.Duration(t.RTT[d].Last)
		out.Retrans[1-d] = int64(t.Retrans[d])
	}
	for _, st := range t.Steps() {
		out.Steps = append(out.Steps, s.step(ctx, st))
	}
	if t.Configuration != nil {
		out.Configuration = safeAll(t.Configuration.Words(linkMTU))
	}
	return out
}

// step makes a rung of the ladder.
func (s *viewSource) step(ctx context.Context, st stats.Step) tui.Step {
	out := tui.Step{Time: st.Time, From: station(st.From), To: station(st.To), Text: st.Text, Message: -1}
	switch {
	case st.Traffic:
		out.Kind = tui.Traffic
	case st.To == decode.Nobody && st.Bad:
		out.Kind = tui.Trouble
	case st.To == decode.Nobody:
		out.Kind = tui.Event
	case st.Bad && st.From != decode.Client && st.To == decode.Proxy:
		out.Kind = tui.Trouble
	}
	if out.Kind == tui.Trouble || out.Kind == tui.Event {
		out.To = out.From
	}
	if st.Message != 0 {
		if pos, err := s.view.Locate(ctx, session.Messages, session.Place{Number: st.Message}); err == nil {
			out.Message = pos
		}
	}
	return out
}

func station(p decode.Party) tui.Station {
	switch p {
	case decode.Client:
		return tui.AtClient
	case decode.Server:
		return tui.AtServer
	}
	return tui.AtProxy
}

// Stats implements tui.Source.
func (s *viewSource) Stats(context.Context) (*tui.Stats, error) {
	c := s.view.Stats()
	series := c.Whole
	if s.recorder != nil && len(c.Recent.Buckets) > 0 {
		series = c.Recent
	}
	out := &tui.Stats{Start: series.Start, Step: series.Width, Talkers: talkers(c.Addresses, c.Talkers, s.view)}
	for d := range 2 {
		out.BytesSeries[d] = make([]int64, len(series.Buckets))
		out.PacketsSeries[d] = make([]int64, len(series.Buckets))
		for i := range series.Buckets {
			b := &series.Buckets[i]
			out.BytesSeries[d][i], out.PacketsSeries[d][i] = b.Wire[d].Bytes, b.Inner[d].N
		}
		out.StreamBytes += c.Messages[d].Bytes
		out.PayloadBytes += c.Packets[d].Bytes + c.Data[d].Bytes
	}
	for _, p := range c.Hierarchy {
		out.Hierarchy = append(out.Hierarchy, tui.Share{Name: p.Name, Depth: p.Depth, Packets: p.N, Bytes: p.Bytes})
	}
	for i := range c.PerMessage[0] {
		out.PerMessage = append(out.PerMessage, tui.Bar{Label: c.PerMessage[0].Class(i), Count: c.PerMessage[0][i] + c.PerMessage[1][i]})
	}
	out.Lines = s.lines(c)
	return out, nil
}

// talkers are the addresses with the most bytes, by the names that their flows
// have.
func talkers(list []stats.Endpoint, _ []stats.Conversation, v *session.View) []tui.Talker {
	out := make([]tui.Talker, 0, len(list))
	for _, e := range list {
		a := e.Addr.Addr()
		out = append(out, tui.Talker{
			Addr: a, Name: v.Name(e.Tunnel, a),
			Packets: [2]int64{e.Sent.N, e.Received.N}, Bytes: [2]int64{e.Sent.Bytes, e.Received.Bytes},
		})
	}
	return out
}

// lines are further facts: what the framing costs, what waited and what was
// lost.
func (s *viewSource) lines(c *stats.Snapshot) []tui.Fact {
	var lines []tui.Fact
	add := func(label, value string) { lines = append(lines, tui.Fact{Label: label, Value: value}) }
	for d := range 2 {
		if bytes, percent := c.Overhead(decode.Direction(d)); bytes > 0 {
			add("framing "+[2]string{"up", "down"}[d], fmt.Sprintf("%s, %.1f %% of what is carried", size(bytes), percent))
		}
	}
	lost := s.store.Losses()
	if s.recorder != nil {
		st := s.recorder.Stats()
		lost = st.Losses()
	}
	if lost.Waits > 0 {
		add("tunnels waited for the recorder", fmt.Sprintf("%s in %s", lost.Waited.Round(time.Microsecond), count(lost.Waits, "wait")))
	}
	if n := lost.Events(); n > 0 {
		add("not recorded", count(n, "event"))
	}
	for _, f := range []struct {
		label string
		n     int64
	}{{"conversations added up", c.Losses.Conversations}, {"tunnels no longer listed", c.Losses.Tunnels}, {"flows forgotten", s.view.Snapshot().Forgotten}} {
		if f.n > 0 {
			add(f.label, strconv.FormatInt(f.n, 10))
		}
	}
	return lines
}

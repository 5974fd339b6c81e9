package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"tundump/replay"
	"tundump/tui"
)

// exchanges are what a replay compares, as a screen has them.
type exchanges struct {
	replay.Exchanges
	screen *replayScreen
	wait   time.Duration // until what has not come is given up
}

// Exchanges implements tui.Player.
func (s *viewSource) Exchanges() tui.Exchanges {
	if r, _ := s.playing(); r != nil {
		return r.exchanges
	}
	return nil
}

// Recording implements tui.Exchanges.
func (x *exchanges) Recording() tui.Source { return x.screen.recorded }

// Live implements tui.Exchanges.
func (x *exchanges) Live() tui.Source { return x.screen.live }

// Read implements tui.Exchanges. What cannot be read says why.
func (x *exchanges) Read(ctx context.Context, numbers []int, visit func(i int, e *tui.Exchange) bool) error {
	for _, i := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := x.Exchanges.Read(i)
		out := x.exchange(&e)
		if err != nil {
			out.Asked = safe(oneLine(err.Error()))
		}
		if !visit(i, out) {
			return nil
		}
	}
	return nil
}

func (x *exchanges) exchange(e *replay.Exchange) *tui.Exchange {
	out := &tui.Exchange{
		State: exchangeStates[e.State], Connection: e.Connection, Asks: e.Asks, Message: e.Message, Request: e.Request, Answer: e.Answer, Came: e.Came, Loop: e.Loop,
		To: e.To, Asked: e.Asked, Recorded: e.Recorded, Live: e.Live,
		Then: e.Then, Now: e.Now, Since: e.Since, Wait: x.wait,
	}
	if d := e.Difference; d != nil {
		out.Differs = d.Loop
		for _, f := range d.Fields {
			out.Fields = append(out.Fields, tui.ExchangeField(f))
		}
	}
	return out
}

// exchangeStates are the screen's words for a replay's.
var exchangeStates = [replay.States]tui.ExchangeState{
	replay.Unasked: tui.Unasked, replay.Awaited: tui.Awaited, replay.Equal: tui.Equal, replay.Belated: tui.Belated,
	replay.Different: tui.Different, replay.Lost: tui.Lost, replay.Surplus: tui.Surplus,
}

// findPiece is how many exchanges are looked at before it is asked whether that
// is still wanted.
const findPiece = 1 << 16

// Find implements tui.Exchanges.
func (x *exchanges) Find(ctx context.Context, i, step int, in tui.ExchangeStates) (int, error) {
	for n := x.Len(); i >= 0 && i < n; i += step {
		if in.Has(exchangeStates[x.State(i)]) {
			return i, nil
		}
		if i%findPiece == 0 && ctx.Err() != nil {
			return -1, ctx.Err()
		}
	}
	return -1, nil
}

// Select implements tui.Exchanges.
func (x *exchanges) Select(ctx context.Context, in tui.ExchangeStates) ([]int32, error) {
	var list []int32
	for i := 0; ; i++ {
		next, err := x.Find(ctx, i, 1, in)
		if err != nil || next < 0 {
			return list, err
		}
		list, i = append(list, int32(next)), next
	}
}

// noteOf says in one line what was different.
func noteOf(d *replay.Difference) string {
	text := "replay: " + string(d.Kind)
	for _, f := range d.Fields {
		text += fmt.Sprintf("; %s: recorded %s, now %s", f.Name, orNone(f.Recorded), orNone(f.Live))
	}
	if len(d.Fields) == 0 && d.Live != "" {
		text += "; now " + d.Live
	}
	return text
}

// addDifferences adds what is different so far to the notes of a replay's
// capture.
func (s *viewSource) addDifferences(n tui.Notes) {
	for l, of := range s.differences() {
		have := n.Of(l)
		for number, text := range of {
			if _, ok := have[number]; !ok {
				have[number] = tui.Note{Marked: true, Text: text, Played: true}
			}
		}
	}
}

// differences are what is different so far, by the numbers of the capture's
// rows; of several of one row the first.
func (s *viewSource) differences() map[tui.List]map[int64]string {
	r, _ := s.playing()
	if r == nil {
		return nil
	}
	of := map[tui.List]map[int64]string{tui.Messages: {}, tui.Packets: {}}
	list := r.exchanges.Differences()
	for i := range list {
		d := &list[i]
		l, number := tui.Packets, cmp.Or(d.Answer, d.Request)
		switch {
		case s == r.live:
			number = d.Came
		case d.Message:
			l = tui.Messages
		}
		if _, have := of[l][number]; !have && number > 0 {
			of[l][number] = noteOf(d)
		}
	}
	return of
}

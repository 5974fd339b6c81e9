package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"tundump/tui/keys"
	"tundump/tui/paint"
)

// Playback is how far a replay is.
type Playback struct {
	Text   string // for the first line; safe
	Paused bool
	Over   bool // nothing more is played
	Same   bool // if it is over: nothing was different
	// Different is how many differences there are so far: they are in the notes.
	Different int64
}

// Player is a Source of a replay: of what is played again, or of what comes of
// it. Steer is called on a goroutine of the screen's. The error is ErrNotHere
// for what this replay cannot do.
type Player interface {
	Source
	Steer(o PlayOrder, at PlayRow) error
	// Exchanges returns what is compared, the same as long as the source is
	// part of the same replay; nil if it is part of none.
	Exchanges() Exchanges
}

// PlayOrder is what a replay can be told.
type PlayOrder uint8

const (
	PlayPause  PlayOrder = iota // or go on
	PlayStep                    // send one packet, and pause
	PlaySlower                  // half as fast
	PlayFaster                  // twice as fast
	PlayFrom                    // go on with that row
)

// PlayRow is a row that a replay can go on with, by its number: tunnel.msg or
// frame.number.
type PlayRow struct {
	List   List
	Number int64
}

func playActions() []action {
	const group = "Replay"
	steer := func(o PlayOrder) func(m *Model) tea.Cmd {
		return func(m *Model) tea.Cmd { return m.steer(o) }
	}
	return []action{
		act(group, "replay", keys.Anywhere, "", "play the capture, what the filter shows, what is marked or a flow again, and compare the answers", plainly((*Model).pickReplay), "r"),
		act(group, "replay.pause", keys.Anywhere, "", "pause what is being played, or go on", steer(PlayPause), "P"),
		act(group, "replay.step", keys.Anywhere, "", "send one packet, and pause", steer(PlayStep), "."),
		act(group, "replay.slower", keys.Anywhere, "", "half as fast", steer(PlaySlower), "("),
		act(group, "replay.faster", keys.Anywhere, "", "twice as fast", steer(PlayFaster), ")"),
		act(group, "replay.from", keys.Rows|keys.Replay, "", "in the recording: go on from the row at the cursor", steer(PlayFrom), "R"),
		act(group, "view.replay", keys.Anywhere, "", "what a replay compares: recorded and now, side by side", plainly(func(m *Model) { m.visit(replayView) }), "7"),
		act(group, "replay.differences", keys.Replay, "differences", "only what is different, or all again", (*Model).toggleDifferences, "D"),
	}
}

// steer has a replay do something.
func (m *Model) steer(o PlayOrder) tea.Cmd {
	s := m.scr()
	p, ok := s.src.(Player)
	if !ok || s.snap.Playing == nil {
		m.say(paint.Caution, "nothing is being played here: %s does", m.keys.Key("replay"))
		return nil
	}
	var at PlayRow
	if o == PlayFrom && s.view == replayView {
		e := s.compare.current()
		recording, steers := s.compare.x.Recording().(Player)
		if e == nil || e.Request == 0 || !steers {
			return nil
		}
		if at.List, at.Number = Packets, e.Request; e.Message {
			at.List = Messages
		}
		p = recording
	} else if o == PlayFrom {
		if at.List, at.Number, ok = s.rows().noteTarget(); !ok {
			return nil
		}
	}
	return func() tea.Msg { return savedMsg{"replay", p.Steer(o, at)} }
}

// playing draws how far a replay is.
func playing(p *Playback) (paint.Style, string) {
	switch {
	case p.Over && p.Same:
		return paint.Good, "■ " + p.Text
	case p.Over:
		return paint.Bad, "■ " + p.Text
	case p.Paused:
		return paint.Caution, "‖ " + p.Text
	}
	return paint.Accent, "▶ " + p.Text
}

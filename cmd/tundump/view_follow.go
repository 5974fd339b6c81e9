package main

import (
	"context"

	"tundump/capture/session"
	"tundump/tui"
)

// streamFollower is a view's follower as the screen has it.
type streamFollower struct{ *session.Follower }

// Follow implements tui.Source.
func (s *viewSource) Follow(what tui.Stream) tui.Follower {
	return streamFollower{s.view.Follow(session.Stream{Kind: session.StreamKind(what.Kind), Tunnel: what.Tunnel, ID: what.ID})}
}

// Next implements tui.Follower.
func (f streamFollower) Next(ctx context.Context) ([]tui.Chunk, error) {
	chunks, err := f.Follower.Next(ctx)
	out := make([]tui.Chunk, len(chunks))
	for i, c := range chunks {
		out[i] = tui.Chunk{Side: c.Side, Time: c.Time, Data: c.Data, Missing: c.Missing, List: tui.List(c.List), Pos: c.Pos}
	}
	return out, err
}

// Package tui draws a capture in a terminal.
//
// It draws a [Source] and asks a [Control], two interfaces that it defines
// itself: it reads no file, opens no socket and knows no proxy. The root holds
// a list of sources and swaps them whole; no pane keeps one.
//
//	Source ── Changed ──▶ root ── a page of rows ──▶ panes ── Render ──▶ frame
//	   ▲                   │ key, mouse, size
//	   └── Read, Select ◀──┘ in the background
//
// Nothing waits in the loop that takes keys. What reads the capture runs as a
// command in the background and comes back as a message, which is dropped if
// the screen has gone elsewhere meanwhile.
package tui

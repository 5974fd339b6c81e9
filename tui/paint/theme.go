// Package paint makes the lines of a screen: text in the styles of a theme,
// cut and filled to an exact width.
//
// A theme turns each style into an escape sequence once; a line is then
// appended to a byte slice. That, and text being ASCII nearly always, makes a
// frame cost tens of microseconds where a style library's joins take
// milliseconds. Text that is given to a line must be safe to print: see
// packet.AppendSafe.
package paint

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// Style is what a piece of text is, not how it looks.
type Style uint8

const (
	Plain   Style = iota
	Dim           // borders, labels, what matters less
	Accent        // the one colour: the active tab, the pane that has the keys
	Strong        // titles
	Cursor        // the row at the cursor, in the pane that has the keys
	Resting       // the row at the cursor, in another pane
	Bar           // bottom line
	Key           // a key's name
	Good          // a filter that is right
	Bad           // an error
	Caution       // a warning
	Up            // client to server
	Down          // server to client
	Bytes         // the bytes of the tree's node, in the hex pane
	Found         // what a search found
	Marked        // a marked row

	// Rows, in the spirit of Wireshark's colour rules.
	RowError // damaged, an error
	RowTCPTrouble
	RowReset
	RowDNS
	RowHTTP
	RowTLS
	RowICMP
	RowControl // what is no traffic: open, suspend, close

	styles
)

// Theme is the styles' escape sequences for one terminal.
type Theme struct {
	name string
	sgr  [styles]string
}

// Names of the themes.
const (
	Dark     = "dark"
	Light    = "light"
	Contrast = "contrast"
)

// look is how a style looks: colours as #rrggbb, "" for the terminal's own.
type look struct {
	fg, bg                          string
	bold, faint, reverse, underline bool
}

// ground are the looks that need no colour: what there is under NO_COLOR.
var ground = [styles]look{
	Dim: {faint: true}, Accent: {bold: true, underline: true}, Strong: {bold: true},
	Cursor: {reverse: true}, Resting: {underline: true}, Key: {bold: true},
	Bad: {bold: true}, Caution: {underline: true}, Bytes: {reverse: true}, Found: {reverse: true, bold: true},
	Marked: {reverse: true, faint: true}, RowError: {bold: true}, RowTCPTrouble: {bold: true}, RowControl: {faint: true},
}

var themes = map[string][styles]look{
	Dark: {
		Dim: {fg: "#808a96"}, Accent: {fg: "#5fd7d7", bold: true}, Strong: {bold: true},
		Cursor: {fg: "#0b1416", bg: "#5fd7d7"}, Resting: {bg: "#30363d"}, Bar: {fg: "#9aa4ae"}, Key: {fg: "#5fd7d7"},
		Good: {fg: "#7fd787"}, Bad: {fg: "#ff6b6b", bold: true}, Caution: {fg: "#e5c07b"},
		Up: {fg: "#9ecbff"}, Down: {fg: "#c8b6ff"}, Bytes: {fg: "#0b1416", bg: "#8fb8c8"}, Found: {fg: "#000000", bg: "#e5c07b"},
		Marked:   {fg: "#e8e8e8", bg: "#3a3a5c"},
		RowError: {fg: "#ff6b6b"}, RowTCPTrouble: {fg: "#ff9e64"}, RowReset: {fg: "#e5534b"}, RowDNS: {fg: "#8fb8ff"},
		RowHTTP: {fg: "#9fd89f"}, RowTLS: {fg: "#c9c3e6"}, RowICMP: {fg: "#e6a8d7"}, RowControl: {fg: "#8a949e"},
	},
	Light: {
		Dim: {fg: "#6a737d"}, Accent: {fg: "#006d77", bold: true}, Strong: {bold: true},
		Cursor: {fg: "#ffffff", bg: "#006d77"}, Resting: {bg: "#dfe5ea"}, Bar: {fg: "#57606a"}, Key: {fg: "#006d77"},
		Good: {fg: "#116329"}, Bad: {fg: "#b3261e", bold: true}, Caution: {fg: "#8a5a00"},
		Up: {fg: "#0b4f9e"}, Down: {fg: "#6639ba"}, Bytes: {fg: "#ffffff", bg: "#4f7f8f"}, Found: {fg: "#000000", bg: "#ffd866"},
		Marked:   {fg: "#000000", bg: "#d9d5f5"},
		RowError: {fg: "#b3261e"}, RowTCPTrouble: {fg: "#a34700"}, RowReset: {fg: "#a40e26"}, RowDNS: {fg: "#0550ae"},
		RowHTTP: {fg: "#116329"}, RowTLS: {fg: "#5a4fa0"}, RowICMP: {fg: "#8b2a7b"}, RowControl: {fg: "#57606a"},
	},
	Contrast: {
		Dim: {fg: "#ffffff"}, Accent: {fg: "#ffff00", bold: true}, Strong: {fg: "#ffffff", bold: true},
		Cursor: {fg: "#000000", bg: "#ffff00", bold: true}, Resting: {fg: "#ffffff", underline: true}, Bar: {fg: "#ffffff"}, Key: {fg: "#ffff00", bold: true},
		Good: {fg: "#00ff00", bold: true}, Bad: {fg: "#ff5f5f", bold: true, underline: true}, Caution: {fg: "#ffff00", underline: true},
		Up: {fg: "#00ffff"}, Down: {fg: "#ffffff"}, Bytes: {fg: "#000000", bg: "#00ffff"}, Found: {fg: "#000000", bg: "#ffffff"},
		Marked:   {fg: "#000000", bg: "#ffffff"},
		RowError: {fg: "#ff5f5f", bold: true}, RowTCPTrouble: {fg: "#ffaf00", bold: true}, RowReset: {fg: "#ff5f5f"}, RowDNS: {fg: "#5fd7ff"},
		RowHTTP: {fg: "#5fff5f"}, RowTLS: {fg: "#ffffff"}, RowICMP: {fg: "#ff87ff"}, RowControl: {fg: "#ffffff"},
	},
}

// NewTheme returns the theme of that name, the dark one for an unknown name,
// in as many colours as the terminal has. With [termenv.Ascii] there is no
// colour and everything can still be told apart.
func NewTheme(name string, profile termenv.Profile) *Theme {
	looks, ok := themes[name]
	if !ok {
		name, looks = Dark, themes[Dark]
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(profile)
	attributes := r
	if profile == termenv.Ascii { // attributes are no colours: lipgloss drops both
		looks = ground
		attributes = lipgloss.NewRenderer(io.Discard)
		attributes.SetColorProfile(termenv.ANSI)
	}
	t := &Theme{name: name}
	for s := range looks {
		t.sgr[s] = sequence(attributes, looks[s])
	}
	return t
}

// sequence returns what a look begins with, always after a reset.
func sequence(r *lipgloss.Renderer, l look) string {
	s := r.NewStyle().Bold(l.bold).Faint(l.faint).Reverse(l.reverse).Underline(l.underline)
	if l.fg != "" {
		s = s.Foreground(lipgloss.Color(l.fg))
	}
	if l.bg != "" {
		s = s.Background(lipgloss.Color(l.bg))
	}
	before, _, _ := strings.Cut(s.Render("x"), "x")
	return reset + before
}

const reset = "\x1b[0m"

// Name returns the theme's name.
func (t *Theme) Name() string { return t.name }

// Next returns the name of the theme after this one.
func (t *Theme) Next() string {
	switch t.name {
	case Dark:
		return Light
	case Light:
		return Contrast
	}
	return Dark
}

package tui

// Settings are what a user can set in the configuration file; the zero value
// stands for the defaults throughout. The screen changes those that have a key
// (layout, sizes, columns, theme) and hands them to Control.SaveSettings.
type Settings struct {
	Theme string `yaml:"theme,omitempty"` // "dark", "light" or "contrast"; "" asks the terminal
	// Time is the form of time stamps, as tshark's -t: a, ad, d, r or e.
	Time string `yaml:"time,omitempty"`
	// Follow says whether a live capture's lists begin at the tail: "on" or
	// "off".
	Follow string `yaml:"follow,omitempty"`
	// Colours says whether rows have colours: "on" or "off".
	Colours string `yaml:"colours,omitempty"`
	Layout  Layout `yaml:"layout,omitempty"`
	// Columns of the two lists.
	Messages []Column `yaml:"messages,omitempty"`
	Packets  []Column `yaml:"packets,omitempty"`
	// Keys rebinds actions: the action's name to the keys that it has instead
	// of its own; none takes them away.
	Keys map[string][]string `yaml:"keys,omitempty"`
	// Filters are the display filters used last, the newest last.
	Filters []string `yaml:"filters,omitempty"`
}

// Layout says how the panes of a list's view lie.
type Layout struct {
	// Form is "stacked" (list over tree over bytes), "wide" (list over tree
	// beside bytes), "columns" (list beside tree over bytes) or "list".
	Form string `yaml:"form,omitempty"`
	// List is the list's share of the room, Tree the tree's share of what is
	// left, in per cent.
	List int `yaml:"list,omitempty"`
	Tree int `yaml:"tree,omitempty"`
}

// Column is one column of a list.
type Column struct {
	// Field is one of the list's own columns (number, time, tunnel, dir,
	// source, destination, protocol, length, info, message, command,
	// identifier, what) or any field of the field table.
	Field string `yaml:"field"`
	Title string `yaml:"title,omitempty"` // "" is the column's or the field's own
	Width int    `yaml:"width,omitempty"` // in characters; 0 is the default
}

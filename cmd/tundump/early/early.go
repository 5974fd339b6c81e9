//go:build unix

// Package early keeps bubbletea from asking the terminal for its colours at the
// start of every command, whether it has a screen or not: the answer may take
// seconds over a slow line, and takes what was typed in the meantime with it.
//
// bubbletea v1 asks in an init function (tea_init.go), through termenv, which
// asks nothing of a terminal of type dumb. So that is what the terminal is
// until [Restore] is called, first thing in main.
//
// This package is initialised before bubbletea is: packages are initialised in
// the order of their import paths, as soon as all that they import is (The Go
// Programming Language Specification, "Program initialization"), bubbletea
// needs package unicode, and "tundump/…" comes before that. So it must import
// nothing that needs unicode itself. A test runs the program on a terminal.
package early

import "syscall"

var term, known = syscall.Getenv("TERM")

func init() {
	if known {
		_ = syscall.Setenv("TERM", "dumb") // fails for names with a zero byte or an equals sign only
	}
}

// Restore makes the terminal what it is.
func Restore() {
	if known {
		_ = syscall.Setenv("TERM", term)
	}
}

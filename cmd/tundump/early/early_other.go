//go:build !unix

package early

// Restore does nothing: termenv does not ask the terminals of this system.
func Restore() {}

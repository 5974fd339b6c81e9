//go:build linux || darwin

package tun

import "fmt"

func (o *Options) check() error {
	if o.MTU == 0 {
		o.MTU = DefaultMTU
	}
	if o.MTU < MinMTU || o.MTU > MaxMTU {
		return fmt.Errorf("tun: MTU %d: it is %d to %d", o.MTU, MinMTU, MaxMTU)
	}
	return checkName(o.Name)
}

// checkCharacters holds a name to what every tool takes: the kernel itself
// takes more, and silently cuts what is too long.
func checkCharacters(name string, maxLen int) error {
	if len(name) > maxLen {
		return fmt.Errorf("tun: device %.40q: %w: it has %d characters, and %d is the limit", name, ErrName, len(name), maxLen)
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '_' && c != '-' && c != '.') {
			return fmt.Errorf("tun: device %q: %w: letters, digits and, but for the first one, _ - and dots", name, ErrName)
		}
	}
	return nil
}

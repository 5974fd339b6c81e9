//go:build !windows

package store

import (
	"errors"
	"fmt"
	"os"
)

// TempFile makes a file that only this process can read and that is gone when
// it is closed, or when the process ends in whatever way.
func TempFile() (*os.File, error) {
	f, err := os.CreateTemp("", "tundump-*.pcapng") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("store: no temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("store: no temporary file: %w", err), f.Close())
	}
	return f, nil
}

package store

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
)

// deleteOnClose is FILE_FLAG_DELETE_ON_CLOSE, which os.OpenFile hands on.
const deleteOnClose = 0x04000000

// TempFile makes a file that is gone when it is closed, or when the process
// ends in whatever way.
func TempFile() (*os.File, error) {
	name := filepath.Join(os.TempDir(), "tundump-"+rand.Text()+".pcapng")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|deleteOnClose, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: no temporary file: %w", err)
	}
	return f, nil
}

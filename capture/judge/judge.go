// Package judge has what tests judge our decoding by: the material beside the
// repository, packets of real captures, and tshark. It knows nothing of ours,
// and what is not there skips the test.
package judge

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Shared returns a path in the folder "shared" beside the repository, which
// not everybody has.
func Shared(tb testing.TB, elem ...string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			tb.Skip("there is no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(append([]string{filepath.Dir(dir), "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("no shared folder: %v", err)
	}
	return path
}

// Program returns the path of an installed program.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Skipf("%s is not installed", name)
	}
	return path
}

// Python is the command of one of the independent tools, killed when ctx is
// done.
func Python(ctx context.Context, tb testing.TB, tool string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(ctx, Program(tb, "python3"), append([]string{Shared(tb, "tools", tool)}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// Tshark returns what tshark prints about a capture file without looking up
// names. That it fails is no error where it has printed something: it does so
// at the end of a capture that is cut.
func Tshark(tb testing.TB, file string, args ...string) []byte {
	tb.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(Program(tb, "tshark"), append([]string{"-n", "-r", file}, args...)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		tb.Fatalf("tshark: %v: %s", err, errs.String())
	}
	if err != nil {
		tb.Logf("tshark: %v: %s", err, errs.String())
	}
	return out
}

// Fields returns tshark's values of fields for each packet of a capture file,
// as options has it print them.
func Fields(tb testing.TB, file string, options []string, fields ...string) [][]string {
	tb.Helper()
	args := append([]string{"-T", "fields"}, options...)
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	var rows [][]string
	for line := range strings.Lines(string(Tshark(tb, file, args...))) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

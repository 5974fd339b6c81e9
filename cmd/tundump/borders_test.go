package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// borders says which of our packages each package may import, the table in
// the README's section Inside. A name that ends in /... stands for all below
// it. The test parses the files itself: one that asked the go tool would keep
// its cached pass when another package changes.
var borders = map[string][]string{
	"decode/frame":       {},
	"decode/bplist":      {},
	"decode":             {"decode/frame", "decode/bplist"},
	"decode/packet":      {},
	"decode/reasm":       {},
	"decode/stream":      {"decode", "decode/frame", "decode/packet", "decode/reasm"},
	"decode/flow":        {"decode/packet", "decode/reasm"},
	"decode/field":       {"decode", "decode/bplist", "decode/packet", "decode/flow"},
	"decode/filter":      {"decode/field"},
	"decode/rewrite":     {"decode/packet"},
	"decode/stats":       {"decode", "decode/bplist", "decode/packet", "decode/flow"},
	"capture":            {"decode"},
	"capture/proxy":      {"capture", "capture/intercept", "decode", "decode/frame"},
	"capture/intercept":  {"decode", "decode/frame", "decode/filter", "decode/rewrite"},
	"capture/pcapng":     {"decode"},
	"capture/record":     {"capture", "capture/pcapng", "capture/store", "decode"},
	"capture/store":      {"capture/pcapng", "decode"},
	"capture/sniff":      {"capture", "capture/pcapng", "capture/record", "capture/store", "decode", "decode/stream"},
	"capture/judge":      {}, // for tests: tshark, and what is beside the repository
	"capture/notes":      {}, // the file beside a capture: what people say about it
	"capture/export":     {"capture/notes", "capture/pcapng", "capture/session", "capture/store", "decode", "decode/..."},
	"capture/session":    {"capture/store", "decode", "decode/..."},
	"replay":             {"decode", "decode/rewrite", "decode/field", "decode/packet", "decode/flow", "decode/reasm"},
	"replay/netstack":    {"replay"},
	"replay/tun":         {"replay"},
	"replay/peer":        {"decode", "decode/frame", "decode/bplist", "replay"},
	"replay/devicetest":  {"replay"},
	"replay/socks":       {},
	"replay/peer/dnssd":  {}, // the peers' names on the local network: wire and sockets of its own
	"tui":                {"decode", "decode/...", "tui/..."},
	"tui/keys":           {},
	"tui/paint":          {},
	"tui/detail":         {"decode", "decode/..."},
	"tui/pane":           {"tui/detail", "tui/paint"},
	"cmd/tundump":        {"capture", "capture/...", "decode", "decode/...", "replay", "replay/...", "tui", "tui/...", "cmd/tundump/output", "cmd/tundump/early"},
	"cmd/tundump/early":  {},
	"cmd/tundump/output": {"capture", "capture/...", "decode", "decode/..."},
}

// outside says where imports of others' packages may stand: everywhere else
// they may not. A prefix ends in a slash.
var outside = map[string][]string{
	"gvisor.dev/gvisor/":                {"replay/netstack"},
	"github.com/songgao/water":          {"replay/tun"},
	"golang.zx2c4.com/wireguard/":       {"replay/tun"},
	"github.com/vishvananda/netlink":    {"replay/tun"},
	"github.com/charmbracelet/":         {"tui", "tui/paint", "cmd/tundump"},
	"github.com/muesli/termenv":         {"tui", "tui/paint", "cmd/tundump"},
	"go.yaml.in/yaml/":                  {"cmd/tundump"},
	"github.com/google/gopacket":        {"decode/packet", "capture/judge"},
	"github.com/google/gopacket/":       {"decode/packet", "capture/judge"},
	"howett.net/plist":                  {"replay/peer"},
	"github.com/guptarohit/asciigraph":  {"cmd/tundump/output"},
	"github.com/kballard/go-shellquote": {"tui", "cmd/tundump"},
	"github.com/spf13/":                 {"cmd/tundump"},
	"golang.org/x/net/dns/dnsmessage":   {"decode/packet", "replay/peer", "cmd/tundump"},
}

// impure are the standard packages that decoding must not know: no clock, no
// goroutine, no I/O. net/netip is fine.
var impure = []string{"net", "os", "io", "context", "sync", "log", "log/slog", "sync/atomic", "bufio", "net/http"}

func TestBorders(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2:
			return filepath.SkipDir
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		seen[pkg] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if why := forbidden(pkg, name); why != "" {
				t.Errorf("%s imports %s: %s", rel, name, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < len(borders) {
		t.Errorf("%d packages found, the table has %d", len(seen), len(borders))
	}
}

func forbidden(pkg, name string) string {
	allowed, known := borders[pkg]
	if !known {
		return "the package is not in the table of borders"
	}
	if own, ok := strings.CutPrefix(name, "tundump/"); ok {
		for _, a := range allowed {
			if below, all := strings.CutSuffix(a, "..."); own == a || all && strings.HasPrefix(own, below) {
				return ""
			}
		}
		return "the table of borders does not allow it"
	}
	if strings.HasPrefix(pkg, "decode") && slices.Contains(impure, name) {
		return "decoding does no input or output, reads no clock and starts no goroutine"
	}
	for prefix, where := range outside {
		if name == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(name, prefix) {
			if !slices.Contains(where, pkg) {
				return "it belongs in " + strings.Join(where, ", ")
			}
		}
	}
	return ""
}

// The owner fixed which folders stand at the top, and that no code does.
func TestTopLevel(t *testing.T) {
	allowed := []string{"capture", "decode", "tui", "replay", "cmd", "testdata"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		code := e.IsDir() && !strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".go")
		if code && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

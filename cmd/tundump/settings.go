package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"go.yaml.in/yaml/v3"

	"tundump/tui"
)

// maxSettings bounds the configuration file.
const maxSettings = 1 << 20

// settingsFile is the user's configuration file. What the user wrote there,
// comments included, stays when the screen changes a setting.
type settingsFile struct {
	path string
	now  tui.Settings // as read
	err  error        // why it cannot be used; then it is not written either

	mu  sync.Mutex
	doc yaml.Node
}

// settingsPath is XDG_CONFIG_HOME/tundump/config.yaml, or where the system
// keeps such files.
func settingsPath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" || !filepath.IsAbs(dir) { // the specification: relative ones are ignored
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "tundump", "config.yaml"), nil
}

// openSettings reads the file; without one everything is as in the code.
func openSettings() *settingsFile {
	s := &settingsFile{}
	if s.path, s.err = settingsPath(); s.err == nil {
		s.err = s.read()
	}
	if s.err != nil {
		s.now = tui.Settings{}
	}
	return s
}

// wrong says why the settings are not the user's, "" if they are.
func (s *settingsFile) wrong() string {
	if s.err == nil {
		return ""
	}
	return fmt.Sprintf("the configuration is not used: %v", s.err)
}

func (s *settingsFile) read() error {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(b) > maxSettings {
		return fmt.Errorf("%s: over %s", s.path, size(maxSettings))
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&s.now); err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if err := yaml.Unmarshal(b, &s.doc); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// save writes the settings into the file, beside what else stands in it.
func (s *settingsFile) save(set tui.Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("not kept: %w", s.err)
	}
	var changed yaml.Node
	if err := changed.Encode(set); err != nil {
		return err
	}
	if s.doc.Kind == 0 {
		s.doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	if len(s.doc.Content) == 0 || s.doc.Content[0].Kind != yaml.MappingNode {
		s.doc.Content = []*yaml.Node{{Kind: yaml.MappingNode}}
	}
	merge(s.doc.Content[0], &changed)
	b, err := yaml.Marshal(&s.doc)
	if err != nil {
		return err
	}
	return replaceFile(s.path, b)
}

// merge makes the entries of old those of changed, and leaves the comments
// where they are.
func merge(old, changed *yaml.Node) {
	kept := old.Content[:0]
	for i := 0; i+1 < len(old.Content); i += 2 {
		if lookup(changed, old.Content[i].Value) != nil {
			kept = append(kept, old.Content[i], old.Content[i+1])
		}
	}
	old.Content = kept
	for i := 0; i+1 < len(changed.Content); i += 2 {
		name, value := changed.Content[i], changed.Content[i+1]
		have := lookup(old, name.Value)
		if have == nil {
			old.Content = append(old.Content, name, value)
			continue
		}
		if have.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode {
			merge(have, value)
			continue
		}
		if sameYAML(have, value) {
			continue
		}
		value.HeadComment, value.LineComment, value.FootComment = have.HeadComment, have.LineComment, have.FootComment
		*have = *value
	}
}

// sameYAML reports whether two nodes say the same, however they are written.
func sameYAML(a, b *yaml.Node) bool {
	var x, y any
	return a.Decode(&x) == nil && b.Decode(&y) == nil && reflect.DeepEqual(x, y)
}

func lookup(m *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	return nil
}

// replaceFile writes a file that only the user can read, whole or not at all.
func replaceFile(path string, b []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

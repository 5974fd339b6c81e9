package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tundump/tui"
)

// What is looked at of a folder: it may have millions of names, and may lie on
// a file system that is slow.
const (
	pathTime  = 300 * time.Millisecond
	pathNames = 20_000 // that begin as was typed
	pathsMost = 200    // that are listed
)

// Paths implements tui.Control.
func (c *terminalControl) Paths(ctx context.Context, typed string) (tui.Paths, error) {
	until, cancel := context.WithTimeout(ctx, pathTime)
	defer cancel()
	p, err := listPaths(until, typed)
	if ctx.Err() != nil {
		return tui.Paths{}, ctx.Err()
	}
	return p, err
}

// listPaths lists the files and folders whose paths begin as was typed, as far
// as it comes until ctx is done. What is neither, such as a device, it leaves
// out: to open one may wait for ever.
func listPaths(ctx context.Context, typed string) (tui.Paths, error) {
	dir, begin := filepath.Split(typed)
	out := tui.Paths{From: len(dir), Folder: begin == "" && typed != ""}
	if begin == "." || begin == ".." || typed == "~" {
		out.Folder = true
		out.Names = append(out.Names, tui.Path{Name: begin + string(filepath.Separator), Folder: true})
		if typed == "~" {
			return out, nil
		}
	}
	folder := cmp.Or(fromHome(dir), ".")
	found, more, err := namesIn(ctx, folder, begin)
	if err != nil {
		var in *fs.PathError
		if errors.As(err, &in) { // the folder is what was typed
			err = in.Err
		}
		return tui.Paths{From: len(dir)}, err
	}
	out.More = more || len(found) > pathsMost
	for _, name := range found[:min(len(found), pathsMost)] {
		if ctx.Err() != nil {
			out.More = true
			break
		}
		info, err := os.Stat(filepath.Join(folder, name)) // of what a link leads to
		switch {
		case err != nil: // it leads nowhere, or is gone by now
		case info.IsDir():
			out.Folder = out.Folder || name == begin
			out.Names = append(out.Names, tui.Path{Name: name + string(filepath.Separator), Folder: true, Time: info.ModTime().UnixNano()})
		case info.Mode().IsRegular():
			out.Names = append(out.Names, tui.Path{Name: name, Size: info.Size(), Time: info.ModTime().UnixNano()})
		}
	}
	return out, nil
}

// namesIn returns, in order, the names in a folder that begin with begin; more
// says that it did not look at all of it.
func namesIn(ctx context.Context, folder, begin string) (found []string, more bool, err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	for err == nil && !more {
		var names []string
		names, err = f.Readdirnames(1024)
		for _, name := range names {
			hidden := strings.HasPrefix(name, ".") && !strings.HasPrefix(begin, ".")
			if strings.HasPrefix(name, begin) && !hidden {
				found = append(found, name)
			}
		}
		more = ctx.Err() != nil || len(found) > pathNames
	}
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	slices.Sort(found)
	return found, more && err == nil, nil
}

//go:build !unix

package main

import (
	"errors"

	"tundump/replay/tun"
)

var errNoUser = errors.New("not on this system")

func checkUser(string) error { return errNoUser }

func dropTo(string, *tun.Setup) (*keeper, error) { return nil, errNoUser }

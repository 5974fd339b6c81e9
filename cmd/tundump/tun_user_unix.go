//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"tundump/replay/tun"
)

// checkUser finds out before anything is done whether dropTo can work.
func checkUser(name string) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can become another user; without --user the program goes on as you, with the capability it has")
	}
	_, _, err := ids(name)
	return err
}

func ids(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}

// dropTo makes the process, all threads of it, go on as a user without any
// privilege. A device that is open stays. What needs privileges to be undone
// is left to a keeper; nil if there is nothing.
func dropTo(name string, setup *tun.Setup) (*keeper, error) {
	uid, gid, err := ids(name)
	if err != nil {
		return nil, err
	}
	var k *keeper
	if setup.State() != "" {
		if k, err = startKeeper(setup); err != nil {
			return nil, fmt.Errorf("start the process that undoes the changes: %w", err)
		}
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups([]int{gid}) },
		func() error { return syscall.Setgid(gid) },
		func() error { return syscall.Setuid(uid) },
	} {
		if err := step(); err != nil {
			if k != nil {
				err = errors.Join(err, k.finish())
			}
			return nil, err
		}
	}
	setup.Leave()
	return k, nil
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tundump/replay/tun"
)

// chooseName is the value of --tun without a name.
const chooseName = "auto"

// tunFlags are those of serve and connect that are about the kernel's TUN.
type tunFlags struct {
	name   string
	driver string
	mtu    int
	user   string
	nat    string // serve only
}

func (t *tunFlags) register(fl *pflag.FlagSet, mtu string) {
	fl.StringVar(&t.name, "tun", "", "take the packets to and from a TUN device `NAME` of this system, which needs root or CAP_NET_ADMIN; without a name the system chooses")
	fl.Lookup("tun").NoOptDefVal = chooseName
	fl.StringVar(&t.driver, "tun-driver", driverWater, "with --tun: water, or wireguard, which batches the packets of TCP flows (Linux)")
	fl.IntVar(&t.mtu, "mtu", 0, "with --tun: largest packet of the device, in bytes ("+mtu+")")
	fl.StringVar(&t.user, "user", "", "with --tun: go on as this user when the device is there")
}

func (t *tunFlags) registerNAT(fl *pflag.FlagSet) {
	fl.StringVar(&t.nat, "nat", "", "with --tun: print what lets the clients out into other networks, forwarding and nftables rules; --nat=apply does it, and undoes it at the end")
	fl.Lookup("nat").NoOptDefVal = natPrint
}

const (
	driverWater     = "water"
	driverWireGuard = "wireguard"

	natPrint = "print"
	natApply = "apply"
)

// on reports whether there is to be a device.
func (t *tunFlags) on() bool { return t.name != "" }

// args takes n arguments, and one more for the name after --tun.
func (t *tunFlags) args(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if t.name == chooseName && len(args) == n+1 {
			return nil
		}
		return cobra.ExactArgs(n)(cmd, args)
	}
}

// take finds the name in "--tun NAME": the argument that is no address.
func (t *tunFlags) take(args []string) []string {
	if t.name != chooseName {
		return args
	}
	for i, a := range args {
		if !strings.Contains(a, ":") {
			t.name = a
			return append(args[:i:i], args[i+1:]...)
		}
	}
	return args
}

// check finds what cannot be, before anything is done.
func (t *tunFlags) check(command string) error {
	switch {
	case !t.on() && (t.mtu != 0 || t.user != "" || t.nat != "" || t.driver != driverWater):
		return usage(fmt.Errorf("%s: --tun-driver, --mtu, --user and --nat go with --tun", command))
	case t.driver != driverWater && t.driver != driverWireGuard:
		return usage(fmt.Errorf("%s: --tun-driver %s: there is water and wireguard", command, t.driver))
	case t.nat != "" && t.nat != natPrint && t.nat != natApply:
		return usage(fmt.Errorf("%s: --nat %s: there is --nat, which prints, and --nat=apply", command, t.nat))
	case t.mtu != 0 && (t.mtu < tun.MinMTU || t.mtu > tun.MaxMTU):
		return usage(fmt.Errorf("%s: --mtu %d: it is %d to %d", command, t.mtu, tun.MinMTU, tun.MaxMTU))
	case !t.on():
		return nil
	}
	if err := tun.Available(); err != nil {
		return usage(tunError(command, err))
	}
	if t.user != "" {
		if err := checkUser(t.user); err != nil {
			return usage(fmt.Errorf("%s: --user %s: %w", command, t.user, err))
		}
	}
	return nil
}

// tunError says what to do about it.
func tunError(command string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, tun.ErrPrivilege):
		hint = "; run it with sudo, or without --tun, which needs no root"
	case errors.Is(err, tun.ErrExists):
		hint = "; give another name, or none"
	}
	return fmt.Errorf("%s: %w%s", command, err, hint)
}

// options returns what a device is made from.
func (t *tunFlags) options(mtu int) tun.Options {
	o := tun.Options{Name: t.name, MTU: mtu, Batched: t.driver == driverWireGuard}
	if o.Name == chooseName {
		o.Name = ""
	}
	if t.mtu != 0 {
		o.MTU = t.mtu
	}
	return o
}

// tunnelled is a device that is set up.
type tunnelled struct {
	dev    *tun.Device
	setup  *tun.Setup
	keeper *keeper // undoes the setup; nil: this process does
}

// open makes the device, and the changes that build asks for when its name is
// known. Before that it undoes what a killed process left.
func (t *tunFlags) open(command string, o tun.Options, log *slog.Logger, before []tun.Change, build func(device string) []tun.Change) (*tunnelled, error) {
	undone, err := tun.Recover()
	for _, c := range undone {
		log.Warn("undone: a process that was killed had left it", "what", c.String())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	setup := new(tun.Setup)
	if err := setup.Apply(before...); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	dev, err := tun.Open(o)
	if err != nil {
		return nil, errors.Join(openFailed(command, err), setup.Undo())
	}
	if err := setup.Apply(build(dev.Name())...); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", command, err), dev.Close())
	}
	return &tunnelled{dev: dev, setup: setup}, nil
}

// drop gives privileges up, if --user says so. If it fails everything is
// undone.
func (t *tunFlags) drop(command string, up *tunnelled) (err error) {
	if t.user == "" {
		return nil
	}
	if up.keeper, err = dropTo(t.user, up.setup); err != nil {
		return errors.Join(fmt.Errorf("%s: --user %s: %w", command, t.user, err), up.close())
	}
	return nil
}

func openFailed(command string, err error) error {
	if errors.Is(err, tun.ErrName) || errors.Is(err, tun.ErrExists) || errors.Is(err, tun.ErrPrivilege) {
		return usage(tunError(command, err))
	}
	return tunError(command, err)
}

// close undoes everything.
func (u *tunnelled) close() error {
	err := u.dev.Close()
	if u.keeper != nil {
		return errors.Join(err, u.keeper.finish())
	}
	return errors.Join(err, u.setup.Undo())
}

// withoutIPv6 leaves IPv6 out where the system has it switched off, with a
// line that says so.
func withoutIPv6(nets []netip.Prefix, log *slog.Logger) []netip.Prefix {
	if tun.IPv6() {
		return nets
	}
	var v4 []netip.Prefix
	for _, n := range nets {
		if n.Addr().Is4() {
			v4 = append(v4, n)
			continue
		}
		log.Warn("left out: IPv6 is switched off on this system", "network", n)
	}
	return v4
}

// undoCommand is what a keeper runs, see dropTo.
func undoCommand() *cobra.Command {
	return &cobra.Command{
		Use:    keeperCommand + " FILE",
		Short:  "undo what FILE lists when standard input ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return keep(cmd.InOrStdin(), args[0])
		},
	}
}

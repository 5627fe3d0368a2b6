package webhook

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// An endpoint's URL is given by whoever may manage webhooks, and resolved by who knows whom. So that it can't be used to reach
// what only this machine can, the address is looked at after it was resolved, right before the connection is made.

// private are the ranges that netip has no word for (RFC 6890 and its successors; the IANA special-purpose registries).
var private = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"),   // leads to an IPv4 address, whichever
	netip.MustParsePrefix("64:ff9b:1::/48"), // the same
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // leads to an IPv4 address
	netip.MustParsePrefix("fec0::/10"),
}

// isPublic reports whether an address is one of the internet at large.
func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range private {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// refusePrivate is a net.Dialer's Control: it fails where the address, as resolved, is not a public one.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !isPublic(at.Addr().WithZone("")) {
		return fmt.Errorf("%s is not a public address; the server delivers there only with --webhook-private", at.Addr())
	}
	return nil
}

func newDialer(allowPrivate bool) *net.Dialer {
	d := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	if !allowPrivate {
		d.Control = refusePrivate
	}
	return d
}

// Package peer is the two ends of a SimpleTunnel connection: [Server] does
// what Apple's tunnel_server does, [Client] what its packet tunnel and its app
// proxy do, without Apple.
//
// A server takes the packets of its clients to a device, and their app-proxy
// flows to what Dial returns:
//
//	dialer := &peer.Dialer{} // what may be reached, and how
//	dev, err := netstack.New(netstack.Config{Addresses: gateways, Dial: dialer.DialAddrPort, Echo: dialer.Echo})
//	if err != nil {
//		return err
//	}
//	srv := &peer.Server{Device: dev, Dial: dialer.DialContext}
//	return srv.Serve(ctx, listener) // closes listener and dev
//
// A client opens an IP connection and carries the packets of a device, or
// dials app-proxy flows, or both:
//
//	c := peer.NewClient(conn, peer.ClientConfig{})
//	defer c.Close()
//	assigned, err := c.Open(ctx) // addresses, routes, DNS
//	...
//	err = c.Carry(ctx, dev)      // until the tunnel or the device ends
//
// Either end holds a bounded amount of memory whatever the other one sends.
// What a message asks of a server is decided by a function without state or
// I/O, see decide.go; goroutines and sockets are around it.
//
// The rules are those of Apple's SimpleTunnel sample: ServerTunnel.swift,
// ServerConnection.swift, ServerTunnelConnection.swift, ServerUtils,
// AddressPool.swift and ServerConfiguration.swift for the server,
// ClientTunnel.swift, ClientTunnelConnection.swift and
// ClientAppProxyConnection.swift for the client.
package peer

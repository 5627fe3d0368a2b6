// Package wire drives many connections to a server from one thread, so that a load costs the machine as little as can be
// and what is measured is the server. It knows nothing of rates and workloads: an [Exchange] says what is sent next and is
// told what came back. Each connection has at most one request under way,
// or as many as [Target.Pipeline] says.
//
// On Linux, connections without TLS are driven by an epoll loop on a thread of its own (drive_linux.go). Everything else goes through package net (drive_portable.go).
package wire

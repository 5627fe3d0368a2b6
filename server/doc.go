// Package server puts HTTP in front of an engine: JSON over HTTP/1.1, described by docs/openapi.yaml.
//
// A request goes: framing (framing.go) · route (routes.go) · key and scope (auth.go) · lane (lanes.go) · handler. A
// handler decodes, makes one engine call, and encodes; if it needs an if about stock, that if belongs in the engine. An
// error becomes a problem document in one place (problem.go).
package server

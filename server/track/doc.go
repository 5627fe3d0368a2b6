// Package track makes the page on which a customer follows an order: its state in plain words, what to do, where and until
// when, the pickup code with its QR code, and the same as JSON.
//
//	Page ─► check ─► words of a language ─► view ─► template ─► one HTML document (Render)
//	                                  └───────────────────────► JSON (AppendJSON)
//
// It knows nothing of the engine nor of HTTP. A handler fills a Page, sends Headers, and appends to the body. Pages need no
// script and make no request: style, icons and QR code are in them, and the policy in Headers forbids everything else.
//
// # Addresses
//
// The page is meant for …/track/TOKEN. Its one form is sent by POST to …/track/TOKEN/arrived, with the fields bay and
// vehicle, read by NewArrival and answered with RenderArrived. All addresses in the pages are relative, so that a proxy may
// serve them under a prefix of its own.
//
// # Languages
//
// Language picks one from Accept-Language. Each is one file, such as french.go: a table that is registered, with every text
// and the ways to write dates. To add a language, add a file; a test tells which texts are missing.
package track

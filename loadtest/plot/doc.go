// Package plot draws line charts as SVG: without scripts, in light and dark by the reader's setting, sharp at any size. It is
// for the reports of load tests and for the figures of docs/benchmarks.md.
package plot

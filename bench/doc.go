// Package bench measures what onhand costs, beside a limit or a peer in the same run: the machines that it runs on are
// shared and noisy, so a ratio holds where a figure does not. The command onhand bench prints it as a table; every row
// names its bar.
//
// A limit is what the same machine does with the work left out: a bare fasthttp server that answers with the same
// bytes. A peer is what shops use today: Redis with a reserve script. Servers run as processes of their own, so that
// their processor time can be told from the loader's, and measurements of two servers alternate in short rounds.
package bench

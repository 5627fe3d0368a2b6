// Package loadtest puts a load on a server that speaks onhand's HTTP API and tells how it bore it. It knows the server by its
// HTTP only.
//
// The load is an open one: requests are due at times that are fixed before it begins ([Shape]), as the customers of a shop
// don't wait for each other. A latency counts from the time a request was due, so that a server which stalls is charged for
// all that should have been sent meanwhile; and a request that is not answered counts with the time until it was given up. What
// a wrk or an ab would have told, the time from sending to the answer, stands beside it as the service time. In a closed load
// ([Config.Closed]) each connection sends again when it is answered: good for finding how much a server can do, and no measure
// of latency.
//
// A run keeps a ledger of everything it was promised, and ends by holding the server's state against it (ledger.go,
// verify.go): units conserved, nothing oversold, every acknowledged write there, also if the server was restarted meanwhile.
//
//	plan (shape, workload) ─► worker, one a thread ─► wire.Drive ─► server
//	                            │      ▲ follow-ups, retries
//	                            ├─► recorder ─► seconds, totals ─► report
//	                            └─► ledger ─► verify
package loadtest

// Package webhook tells other systems what happens: it posts each change that an endpoint wants to hear of to its URL, and each
// thing that a change means besides (engine.Event), as a CloudEvents 1.0 JSON document signed as Standard Webhooks 1.0.0 says.
//
//	change feed ──filter──► lanes: one for each subject, ──► senders ──POST──► the receiver
//	     ▲                  in order within each                │
//	     └── cursor, and what is being retried ◄────────────────┘  a file per endpoint
//
// The feed is the journal itself, so nothing is queued anywhere that a crash could lose: what is kept for an endpoint is how
// far it has come, and which events it was told of in vain and will be told of again. Delivery is at least once. Endpoints
// share nothing, so that one that is slow or dead delays no other.
package webhook

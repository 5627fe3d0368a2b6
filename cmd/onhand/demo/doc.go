// Package demo fills a server with a chain's stock and replays a year of its orders, over HTTP as any shop would.
//
// Stores, articles, orders and how much busier one store is than another are real (data/NOTICE.md). What no public file
// tells is made up by rule, the same each time: at which store a customer shops, what a store has on its shelves at first,
// and how long after ordering a customer collects (chain.go); what customers can do at a store, the warehouses and the locker
// (places.go); how an order is made, paid and handed over (plan.go).
package demo

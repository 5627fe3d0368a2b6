package server_test

import (
	"fmt"
	"html"
	"strings"
	"testing"
	"time"

	"onhand/engine"
	"onhand/server"
)

// What a page tells of an order beyond its state: where its parts are, and how it is with the money.

// An order of which some is in the store, and the rest is sent from elsewhere: by two suppliers, or as it was missing.
func TestThePageOfAnOrderInParts(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	r.put("/v1/locations/vienne", `{"kind":"store","position":{"latitude":45.52,"longitude":4.87}}`)
	r.put("/v1/stock/lamp/vienne", `{"on_hand":100}`)
	type page struct{ title, now, whereabouts string } // the step it is at, and where the units of each line are
	follow := func(o engine.Order, moves ...any) {
		t.Helper()
		for ; len(moves) > 0; moves = moves[2:] {
			m, want := moves[0].(engine.MoveRequest), moves[1].(page)
			if m.ID = o.ID; m.Move != 0 {
				var err error
				if o, err = r.db.MoveOrder(&m); err != nil {
					t.Fatalf("%s: %v", m.Move, err)
				}
			}
			v := r.tracked(&o, "en")
			got := page{title: v.Title}
			for _, s := range v.Steps {
				if s.Mark == "now" {
					got.now = s.State
				}
			}
			for _, l := range v.Lines {
				got.whereabouts += fmt.Sprintf("%d of %d to send, %d in transit; ", l.ToSend, l.Quantity, l.InTransit)
			}
			if got != want {
				t.Errorf("%s: %+v, want %+v", m.Move, got, want)
			}
		}
	}
	twoSuppliers := func(r *engine.PlaceOrderRequest) {
		r.Lines = []engine.Line{{SKU: "lamp", Location: "depot", Quantity: 2}, {SKU: "lamp", Location: "vienne", Quantity: 1}}
		r.Location, r.Fulfilment = "lyon", engine.PickupAfter
	}
	follow(r.orderLamps(twoSuppliers),
		engine.MoveRequest{Move: engine.MoveAccept}, page{"Your order is confirmed", "accepted", "2 of 2 to send, 0 in transit; 1 of 1 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveDispatch, Location: "depot"},
		page{"Part of your order is on its way to the store", "in_transit", "0 of 2 to send, 2 in transit; 1 of 1 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveReceive}, page{"Part of your order is at the store", "in_transit", "0 of 2 to send, 0 in transit; 1 of 1 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveDispatch},
		page{"Part of your order is on its way to the store", "in_transit", "0 of 2 to send, 1 in transit; 0 of 1 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveReceive}, page{"Your order has arrived at the store", "received", "0 of 2 to send, 0 in transit; 0 of 1 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveReady}, page{"Your order is ready", "ready", "0 of 2 to send, 0 in transit; 0 of 1 to send, 0 in transit; "},
	)
	missing := engine.MoveRequest{Move: engine.MoveShort, Lines: []engine.OrderQuantity{{SKU: "lamp", Quantity: 1}}}
	follow(r.orderLamps(func(r *engine.PlaceOrderRequest) { r.OnShort = engine.OnShortTransfer }, engine.MovePick),
		missing, page{"Part of your order is at the store", "picking", "1 of 2 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveDispatch}, page{"Part of your order is on its way to the store", "in_transit", "0 of 2 to send, 1 in transit; "},
		engine.MoveRequest{Move: engine.MoveReceive}, page{"Your order has arrived at the store", "received", "0 of 2 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MovePick}, page{"Your order is being prepared for collection", "received", "0 of 2 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveReady}, page{"Your order is ready", "ready", "0 of 2 to send, 0 in transit; "},
	)
	// One that moved to where all of it is has nothing to be sent, also where it was to be.
	sent := func(r *engine.PlaceOrderRequest) {
		r.Lines[0].Location, r.Location, r.Fulfilment, r.OnShort = "depot", "lyon", engine.PickupAfter, engine.OnShortMove
	}
	follow(r.orderLamps(sent, engine.MoveAccept, engine.MoveDispatch, engine.MoveReceive),
		missing, page{"We have your order", "placed", "0 of 2 to send, 0 in transit; "},
		engine.MoveRequest{Move: engine.MoveAccept}, page{"Your order is confirmed", "accepted", "0 of 2 to send, 0 in transit; "},
	)
}

func TestThePageTellsWhatIsRefunded(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	paid := func(r *engine.PlaceOrderRequest) { r.Payment = engine.OnlinePaid }
	cancelOne := engine.MoveRequest{Move: engine.MoveCancel, Lines: []engine.OrderQuantity{{SKU: "lamp", Quantity: 1}}}
	part := r.orderLamps(paid)
	cancelOne.ID = part.ID
	part, err := r.db.MoveOrder(&cancelOne)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		o    engine.Order
		want string
	}{
		{r.orderLamps(paid, engine.MovePick, engine.MoveShort), "What is missing will be refunded"},
		{r.orderLamps(paid, engine.MovePick, engine.MoveShort, engine.MoveReady), "What is missing will be refunded"},
		{r.orderLamps(paid, engine.MovePick, engine.MoveShort, engine.MoveReady, engine.MoveCollect, engine.MoveRefund), "What is missing has been refunded"},
		{part, "What was cancelled will be refunded"},
		{r.orderLamps(paid, engine.MoveReady, engine.MoveCollect, engine.MoveReturn), "What you have returned will be refunded"},
		{r.orderLamps(paid, engine.MoveCancel), "You will be refunded"},
		{r.orderLamps(paid, engine.MoveCancel, engine.MoveRefund), "Refunded"},
	} {
		if got := r.tracked(&x.o, "en").PaymentText; got != x.want {
			t.Errorf("%s: %q, want %q", x.o.State, got, x.want)
		}
		if text := html.UnescapeString(r.get(pageOf(&x.o), "Accept", asPage).body); !strings.Contains(text, "<dd>"+x.want+"</dd>") {
			t.Errorf("%s: the page does not say %q", x.o.State, x.want)
		}
	}
}

func TestThePageTellsUntilWhenToPay(t *testing.T) {
	r := newTrackedShop(t, server.Options{})
	o := r.orderLamps(func(r *engine.PlaceOrderRequest) { r.Payment = engine.OnlinePending })
	for language, want := range map[string]string{"en": "<dt>Pay by</dt><dd><time ", "fr": "<dt>À payer avant le</dt><dd><time "} {
		v := r.tracked(&o, language)
		if v.PayUntil == nil || !v.PayUntil.Equal(o.Deadline) || v.PayUntil.Sub(r.db.Now()) < 29*time.Minute {
			t.Errorf("%v, want %v", v.PayUntil, o.Deadline)
		}
		if text := html.UnescapeString(r.get(pageOf(&o), "Accept", asPage, "Accept-Language", language).body); !strings.Contains(text, want) || !strings.Contains(text, v.Advice) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
	for _, o := range []engine.Order{r.orderLamps(nil), r.orderLamps(func(r *engine.PlaceOrderRequest) { r.Payment = engine.OnlinePaid })} {
		if v := r.tracked(&o, "en"); v.PayUntil != nil {
			t.Errorf("%s is to be paid by %v", v.PaymentText, v.PayUntil)
		}
	}
	r.db.Clock.Advance(31 * time.Minute)
	if v := r.tracked(&o, "en"); v.State != "expired" || v.PayUntil != nil {
		t.Errorf("%+v", v)
	}
}

package engine_test

import (
	"errors"
	"fmt"
	"os"

	"onhand/engine"
)

func Example() {
	dir, err := os.MkdirTemp("", "onhand")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	e, err := engine.Open(dir, engine.Options{})
	if err != nil {
		panic(err)
	}
	defer e.Close()

	one := int64(1)
	_, err = e.SetStock(&engine.SetStockRequest{SKU: "lamp", Location: "lyon", OnHand: &one})
	if err != nil {
		panic(err)
	}
	lamp := []engine.Line{{SKU: "lamp", Location: "lyon", Quantity: 1}}
	first, err := e.Reserve(&engine.ReserveRequest{Lines: lamp})
	fmt.Println(first.State, err)

	_, err = e.Reserve(&engine.ReserveRequest{Lines: lamp})
	if refused := (*engine.RefusedError)(nil); errors.As(err, &refused) {
		fmt.Println(refused.Lines[0].Reason)
	}

	sold, err := e.Commit(&engine.FinishRequest{ID: first.ID})
	fmt.Println(sold.State, err)
	// Output:
	// held <nil>
	// held_by_others
	// committed <nil>
}

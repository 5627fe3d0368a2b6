package lines

import "testing"

func TestTheDelimiterIsTheOneThatTheHeaderUsesMost(t *testing.T) {
	for head, want := range map[string]byte{
		"sku,location,on_hand": ',', "sku;location;on_hand": ';', "sku\tlocation\ton_hand": '\t', "sku|location|on_hand": '|',
		"sku": ',', "": ',', "sku,location;x": ',', "\"sku\";\"location\"": ';',
	} {
		if got := Delimiter([]byte(head)); got != want {
			t.Errorf("%q uses %q, found %q", head, want, got)
		}
	}
}

package server

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"
)

// decoders are what each call that takes JSON reads its body into.
var decoders = []struct {
	into     func() any
	nullable []jsontext.Pointer
}{
	{into: func() any { return new(availabilityQuery) }},
	{into: func() any { return new(stockRequest) }, nullable: []jsontext.Pointer{"/safety_stock"}},
	{into: func() any { return new(adjustmentRequest) }},
	{into: func() any { return new(reservationRequest) }},
	{into: func() any { return new(batchRequest) }},
	{into: func() any { return new(finishRequest) }},
	{into: func() any { return new(deadlineRequest) }},
	{into: func() any { return new(skuRequest) }},
	{into: func() any { return new(locationRequest) }},
	{into: func() any { return new(basketRequest) }},
	{into: func() any { return new(shortRequest) }},
	{into: func() any { return new(paymentRequest) }},
	{into: func() any { return new(extendRequest) }},
	{into: func() any { return new(receiveOrderRequest) }},
	{into: func() any { return new(rescheduleRequest) }},
	{into: func() any { return new(arriveRequest) }},
	{into: func() any { return new(transferRequest) }},
	{into: func() any { return new(dispatchRequest) }},
	{into: func() any { return new(receiveRequest) }},
	{into: func() any { return new(cancelRequest) }},
	{into: func() any { return new(webhookRequest) }},
}

func decodeBytes(which int, body []byte) (any, error) {
	s := &Server{options: Options{BodyBytesMax: 1 << 20}}
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.SetBodyRaw(body)
	ctx.Request.Header.SetContentLength(len(body))
	v := decoders[which].into()
	return v, s.decode(&call{ctx: ctx}, v, decoders[which].nullable...)
}

// FuzzDecode reads any bytes as any body. What is refused is refused with a reason; what is taken is an object that gives
// each member once, and means the same however it is laid out.
func FuzzDecode(f *testing.F) {
	line := `{"sku":"S","location":"L","quantity":1}`
	for i, body := range []string{
		`{"cells":[{"sku":"S","location":"L"}]}`,
		`{"on_hand":-3,"safety_stock":null,"blocked":true,"if_sequence":18446744073709551615,"reference":"r"}`,
		`{"lines":[` + line + `],"reason":"sale","reference":"r"}`,
		`{"id":"01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35","lines":[` + line + "," + line + `],"expires_at":"2026-03-02T09:00:00.5+03:30","partial":true,"channel":"c"}`,
		`{"reservations":[{"lines":[` + line + `],"expires_in":60},{}]}`,
		`{"lines":[{"sku":"S","location":"L"}]}`,
		`{"expires_in":60}`,
		`{"title":"\u00e9\ud83d\ude00","unit":"","gtin":"4006381333931","default_safety_stock":-1,"default_hold":60}`,
		`{"name":"n","kind":"locker","blocked":false,"position":{"latitude":-0.5,"longitude":180},"opening_hours":[{"days":["monday"],"opens":"08:00","closes":"24:00"}],"special_days":[{"from":"--12-24","closed":true}],"services":["counter"],"attributes":{"a":"b"}}`,
		`{"lines":[{"sku":"S","quantity":1}],"near":{"latitude":1,"longitude":2},"radius_km":0.5,"open_at":"now","limit":3}`,
		`{"lines":[{"sku":"S","quantity":1}],"recount":true,"location":"L","by":"mia","reason":"r"}`,
		`{"payment_reference":"pi_1","by":"till"}`,
		`{"expires_at":"2026-03-02T09:00:00Z"}`,
		`{"transfer":"01932d6e-8c5a-7b1e-9d4f-2a6b8c0e1f35","lines":[{"sku":"S","quantity":1,"lost":2,"damaged":3}],"close":true}`,
		`{"slot":"2026-03-02T09:00:00Z"}`,
		`{"bay":"4","vehicle":"blue car"}`,
		`{"from":"L","to":"M","lines":[{"sku":"S","quantity":1}],"expected_at":"2026-03-02T09:00:00Z","dispatch":true}`,
		`{"lines":[{"sku":"S","quantity":1}],"expected_at":"2026-03-02T09:00:00Z"}`,
		`{"lines":[{"sku":"S","quantity":1,"lost":1}],"close":true}`,
		`{"lines":[{"sku":"S","quantity":1}],"reason":"r"}`,
		`{"url":"https://example.org/hook","events":["order.*"],"locations":["L"],"description":"d","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","disabled":false}`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	for _, body := range []string{`{}`, ``, `null`, `{"lines":null}`, `{"sku":"\ud800"}`, "{\"title\":\"\xff\"}", `{"title":"a","\u0074itle":"b"}`, `{"on_hand":-0}`,
		`{"on_hand":1e3}`, `{"on_hand":9223372036854775808}`, `{"expires_at":"0000-01-01T00:00:00Z"}`, "\ufeff{}", `{}{}`, strings.Repeat(`{"lines":[`, 20_000)} {
		for i := range decoders {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		i := int(which) % len(decoders)
		value, err := decodeBytes(i, slices.Clone(body))
		if err != nil {
			wantReason(t, err)
			return
		}
		if err := checkMembers(body, i == 1); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		for _, layout := range []func() ([]byte, error){
			func() ([]byte, error) { v := jsontext.Value(slices.Clone(body)); return v, v.Compact() },
			func() ([]byte, error) { v := jsontext.Value(slices.Clone(body)); return v, v.Indent() },
			func() ([]byte, error) {
				return jsontext.AppendFormat(nil, body, jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true))
			},
		} {
			other, err := layout()
			if err != nil {
				t.Fatalf("%q was taken and can't be laid out: %v", body, err)
			}
			again, err := decodeBytes(i, other)
			if err != nil || !reflect.DeepEqual(again, value) {
				t.Fatalf("%q is %+v, laid out as %q it is %+v, %v", body, value, other, again, err)
			}
		}
	})
}

func wantReason(t *testing.T, err error) {
	t.Helper()
	p := (*problem)(nil)
	if !errors.As(err, &p) || p.status != fasthttp.StatusBadRequest {
		t.Fatalf("refused with %v", err)
	}
	var told struct{ Detail, Field, Value, Allowed string }
	text := p.append(nil)
	if err := stdjson.Unmarshal(text, &told); err != nil || told.Detail == "" || told.Field == "" || told.Allowed == "" || len(text) > 2000 {
		t.Fatalf("refused with %s: %v", text, err)
	}
}

// checkMembers reads a body with the standard library, which knows nothing of our rules, and holds it to them.
func checkMembers(body []byte, nullable bool) error {
	d := stdjson.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if token, err := d.Token(); err != nil || token != stdjson.Delim('{') {
		return errors.Join(err, errors.New("it is no object"))
	}
	if err := checkObject(d, nullable); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind it")
	}
	return nil
}

func checkObject(d *stdjson.Decoder, nullable bool) error {
	seen := make(map[string]bool)
	for {
		token, err := d.Token()
		if err != nil || token == stdjson.Delim('}') {
			return err
		}
		name := token.(string)
		if seen[name] {
			return errors.New(name + " is given twice")
		}
		seen[name] = true
		fraction := name == "latitude" || name == "longitude" || name == "radius_km"
		if err := checkValue(d, nullable && name == "safety_stock", fraction); err != nil {
			return err
		}
	}
}

func checkValue(d *stdjson.Decoder, nullable, fraction bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case nil:
		if !nullable {
			return errors.New("it holds a null")
		}
	case stdjson.Number:
		if !fraction && strings.ContainsAny(string(v), ".eE") {
			return errors.New("it holds the number " + string(v))
		}
	case stdjson.Delim:
		if v == '{' {
			return checkObject(d, false)
		}
		for d.More() {
			if err := checkValue(d, false, false); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

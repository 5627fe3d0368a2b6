package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onhand/server"
)

// reservation is an answer about one.
type reservation struct {
	ID, State, Channel, Reference string
	Lines                         []struct {
		SKU, Location                                string
		Quantity, Held, Committed, Released, Expired int64
	}
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Refused   []refusal
	Sequence  uint64
}

// refusal is a line of a no.
type refusal struct {
	SKU, Location, Reason    string
	Requested, Granted, Held int64
	ShortBy                  int64 `json:"short_by"`
	OnHand                   int64 `json:"on_hand"`
	SafetyStock              int64 `json:"safety_stock"`
}

// tell writes a reservation in one line: its state, and of each line what is held, committed, released and expired.
func (v *reservation) tell() string {
	text := v.State
	for _, l := range v.Lines {
		text += fmt.Sprintf(" %s@%s %d=%d+%d+%d+%d", l.SKU, l.Location, l.Quantity, l.Held, l.Committed, l.Released, l.Expired)
	}
	return text
}

// hold makes a reservation that must be granted.
func (r *rig) hold(body string, headers ...string) reservation {
	r.t.Helper()
	var v reservation
	decodeInto(r.t, r.do("POST", "/v1/reservations", body, headers...), http.StatusCreated, &v)
	return v
}

// act commits, releases or extends, which must be done.
func (r *rig) act(id, verb, body string) reservation {
	r.t.Helper()
	var v reservation
	decodeInto(r.t, r.do("POST", "/v1/reservations/"+id+"/"+verb, body), http.StatusOK, &v)
	return v
}

func (r *rig) reservation(id string) reservation {
	r.t.Helper()
	var v reservation
	decodeInto(r.t, r.get("/v1/reservations/"+id), http.StatusOK, &v)
	return v
}

// refusals returns the lines of a 409 that says no.
func refusals(t *testing.T, got reply) []refusal {
	t.Helper()
	wantProblem(t, got, http.StatusConflict, "refused")
	var p struct{ Lines []refusal }
	decodeInto(t, got, http.StatusConflict, &p)
	return p.Lines
}

func lines(of ...string) string {
	var all []string
	for _, line := range of { // sku@location:quantity
		name, quantity, _ := strings.Cut(line, ":")
		sku, location, _ := strings.Cut(name, "@")
		text := fmt.Sprintf(`{"sku":%q,"location":%q`, sku, location)
		if quantity != "" {
			text += `,"quantity":` + quantity
		}
		all = append(all, text+"}")
	}
	return `"lines":[` + strings.Join(all, ",") + `]`
}

func TestAReservationIsFoundWhereLocationPoints(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	body := `{` + lines("S@L:2") + `,"expires_in":60,"channel":"web","reference":"order 1"}`
	got := r.do("POST", "/v1/reservations", body, "Idempotency-Key", "one")
	var made reservation
	decodeInto(t, got, http.StatusCreated, &made)
	at := got.header.Get("Location")
	if at != "/v1/reservations/"+made.ID {
		t.Fatalf("Location is %q, the id %s", at, made.ID)
	}
	if found := r.get(at); found.status != 200 || found.body != got.body {
		t.Errorf("there is %d %s, want %s", found.status, found.body, got.body)
	}
	if upper := r.get("/v1/reservations/" + strings.ToUpper(made.ID)); upper.body != got.body {
		t.Errorf("the id in capitals finds %s", upper.body)
	}
	if made.Channel != "web" || made.Reference != "order 1" || !made.CreatedAt.Equal(r.db.Now()) || !made.ExpiresAt.Equal(r.db.Now().Add(time.Minute)) {
		t.Errorf("it is %+v", made)
	}
	retry := r.do("POST", "/v1/reservations", body, "Idempotency-Key", "one")
	if retry.status != http.StatusCreated || retry.header.Get("Location") != at || retry.body != got.body {
		t.Errorf("a retry: %d, Location %q, %s", retry.status, retry.header.Get("Location"), retry.body)
	}
	if refused := r.do("POST", "/v1/reservations", `{`+lines("S@L:99")+`}`); refused.header.Get("Location") != "" {
		t.Errorf("a refusal has a Location: %v", refused.header)
	}
	for _, id := range []string{"7", "x", made.ID[:35], made.ID + "0", strings.ReplaceAll(made.ID, "-", ""), "00000000-0000-0000-0000-000000000000", "{" + made.ID + "}"} {
		for _, call := range []struct{ method, verb string }{{"GET", ""}, {"POST", "/commit"}, {"POST", "/release"}, {"POST", "/extend"}} {
			got := r.do(call.method, "/v1/reservations/"+escaped(id)+call.verb, `{"expires_in":60}`)
			if wantProblem(t, got, 400, "invalid"); fieldOf(t, got.body, "field") != "id" {
				t.Errorf("%s %s: %s", id, call.verb, got.body)
			}
		}
	}
}

func TestEveryRefusedLineSaysWhy(t *testing.T) {
	r := newRig(t, server.Options{})
	r.put("/v1/locations/M", `{}`)
	r.put("/v1/locations/shut", `{"blocked":true}`)
	r.stock("short", 1)
	r.stock("taken", 5)
	r.hold(`{` + lines("taken@L:4") + `}`)
	r.put("/v1/stock/kept/L", `{"on_hand":5,"safety_stock":3}`)
	r.put("/v1/stock/blocked/L", `{"on_hand":5,"blocked":true}`)
	r.put("/v1/stock/short/shut", `{"on_hand":5}`)
	r.stock("fine", 5)
	basket := lines("short@L:3", "taken@L:2", "kept@L:3", "blocked@L:1", "short@shut:1", "short@M:1", "none@L:1", "fine@nowhere:1", "fine@L:5")
	want := []refusal{
		{"short", "L", "short", 3, 0, 0, 2, 1, 0},
		{"taken", "L", "held_by_others", 2, 0, 4, 1, 5, 0},
		{"kept", "L", "safety_stock", 3, 0, 0, 1, 5, 3},
		{"blocked", "L", "blocked", 1, 0, 0, 1, 5, 0},
		{"short", "shut", "blocked", 1, 0, 0, 1, 5, 0},
		{"short", "M", "not_stocked", 1, 0, 0, 1, 0, 0},
		{"none", "L", "unknown_sku", 1, 0, 0, 1, 0, 0},
		{"fine", "nowhere", "unknown_location", 1, 0, 0, 1, 0, 0},
	}
	before := r.db.Durable()
	got := r.do("POST", "/v1/reservations", `{`+basket+`}`)
	if lines := refusals(t, got); !slices.Equal(lines, want) {
		t.Errorf("refused:\n%+v, want\n%+v", lines, want)
	}
	if r.db.Durable() != before || r.cell("fine").Held != 0 {
		t.Error("a refused basket changed something")
	}
	// As much as there is, with the same reasons for the rest.
	v := r.hold(`{` + basket + `,"partial":true}`)
	if v.tell() != "held short@L 1=1+0+0+0 taken@L 1=1+0+0+0 kept@L 2=2+0+0+0 fine@L 5=5+0+0+0" {
		t.Errorf("in part: %s", v.tell())
	}
	want[0].Granted, want[1].Granted, want[2].Granted = 1, 1, 2
	if !slices.Equal(v.Refused, want) {
		t.Errorf("left out:\n%+v, want\n%+v", v.Refused, want)
	}
	// Where there is nothing at all, part of it is a refusal too.
	if lines := refusals(t, r.do("POST", "/v1/reservations", `{`+basket+`,"partial":true}`)); len(lines) != 9 {
		t.Errorf("nothing is left: %+v", lines)
	}
}

func TestCommitAndReleaseTakeSomeLines(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("A", 5)
	r.stock("B", 5)
	id := r.hold(`{` + lines("A@L:3", "B@L:4") + `}`).ID
	for _, step := range []struct{ verb, body, want string }{
		{"commit", `{` + lines("A@L:1") + `}`, "held A@L 3=2+1+0+0 B@L 4=4+0+0+0"},
		{"release", `{` + lines("B@L:1", "A@L:1") + `}`, "held A@L 3=1+1+1+0 B@L 4=3+0+1+0"},
		{"commit", `{` + lines("B@L") + `}`, "held A@L 3=1+1+1+0 B@L 4=0+3+1+0"}, // all that is left of the line
		{"release", `{}`, "committed A@L 3=0+1+2+0 B@L 4=0+3+1+0"},
	} {
		if got := r.act(id, step.verb, step.body); got.tell() != step.want {
			t.Fatalf("%s %s: %s, want %s", step.verb, step.body, got.tell(), step.want)
		}
		if now := r.reservation(id); now.tell() != step.want {
			t.Fatalf("read after %s %s: %s, want %s", step.verb, step.body, now.tell(), step.want)
		}
	}
	if a, b := r.cell("A"), r.cell("B"); a.OnHand != 4 || a.Held != 0 || b.OnHand != 2 || b.Held != 0 {
		t.Errorf("the cells are %+v and %+v", a, b)
	}
	// What is not held can be neither committed nor released, and nothing of the request is done then.
	id = r.hold(`{` + lines("A@L:2", "B@L:1") + `}`).ID
	for _, body := range []string{lines("A@L:3"), lines("B@L:1", "A@L:3"), lines("A@L:1", "A@L:2"), lines("C@L:1"), lines("A@nowhere:1")} {
		for _, verb := range []string{"commit", "release"} {
			for _, l := range refusals(t, r.do("POST", "/v1/reservations/"+id+"/"+verb, `{`+body+`}`)) {
				if l.Reason != "not_reserved" || l.ShortBy < 1 {
					t.Errorf("%s %s: %+v", verb, body, l)
				}
			}
		}
	}
	if now := r.reservation(id); now.tell() != "held A@L 2=2+0+0+0 B@L 1=1+0+0+0" {
		t.Errorf("refused calls left %s", now.tell())
	}
	for _, body := range []string{`{"lines":[]}`, `{` + lines("A@L:-1") + `}`, `{` + lines("A@L:2147483648") + `}`} {
		wantProblem(t, r.do("POST", "/v1/reservations/"+id+"/commit", body), 400, "invalid")
	}
}

func TestWhatHasEndedNamesItsState(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 10)
	ended := make(map[string]string)
	for state, verb := range map[string]string{"committed": "commit", "released": "release"} {
		ended[state] = r.reserve("S")
		r.act(ended[state], verb, "")
	}
	ended["expired"] = r.hold(`{` + lines("S@L:1") + `,"expires_in":1}`).ID
	r.db.Pass(time.Second)
	before := r.db.Durable()
	for state, id := range ended {
		for verb, body := range map[string]string{"commit": "", "release": `{` + lines("S@L:1") + `}`, "extend": `{"expires_in":60}`} {
			got := r.do("POST", "/v1/reservations/"+id+"/"+verb, body)
			wantProblem(t, got, http.StatusConflict, "wrong-state")
			if fieldOf(t, got.body, "state") != state || fieldOf(t, got.body, "id") != id {
				t.Errorf("%s of what is %s: %s", verb, state, got.body)
			}
		}
		if now := r.reservation(id); now.State != state {
			t.Errorf("it is %s, want %s", now.State, state)
		}
	}
	if after := r.db.Durable(); after != before {
		t.Error("a call too late changed something")
	}
}

func TestADeadlineIsExact(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 1)
	id := r.hold(`{` + lines("S@L:1") + `,"expires_in":10}`).ID
	next := `{` + lines("S@L:1") + `,"expires_in":10}`
	r.db.Clock.Advance(10*time.Second - time.Nanosecond)
	if lines := refusals(t, r.do("POST", "/v1/reservations", next)); lines[0].Reason != "held_by_others" {
		t.Errorf("a nanosecond before: %+v", lines)
	}
	if got := r.reservation(id); got.State != "held" {
		t.Errorf("a nanosecond before it is %s", got.State)
	}
	r.db.Clock.Advance(time.Nanosecond)
	// The next caller has it, whether or not anything swept it up; the first can't commit it any more.
	second := r.hold(next)
	wantProblem(t, r.do("POST", "/v1/reservations/"+id+"/commit", ""), http.StatusConflict, "wrong-state")
	if got := r.reservation(id); got.tell() != "expired S@L 1=0+0+0+1" {
		t.Errorf("at its deadline it is %s", got.tell())
	}
	if c := r.cell("S"); c.OnHand != 1 || c.Held != 1 {
		t.Errorf("the cell is %+v", c)
	}
	// A later deadline is as exact, an earlier one is refused.
	at := r.db.Now().Add(20 * time.Second).Add(123456789)
	east := at.In(time.FixedZone("", 3*3600+1800)).Format(time.RFC3339Nano)
	if got := r.act(second.ID, "extend", `{"expires_at":"`+east+`"}`); !got.ExpiresAt.Equal(at) || got.State != "held" {
		t.Errorf("extended to %v, want %v", got.ExpiresAt, at)
	}
	got := r.do("POST", "/v1/reservations/"+second.ID+"/extend", `{"expires_in":5}`)
	if wantProblem(t, got, 400, "invalid"); fieldOf(t, got.body, "field") != "expires_in" || !strings.Contains(fieldOf(t, got.body, "allowed"), at.Format(time.RFC3339Nano)) {
		t.Errorf("an earlier deadline: %s", got.body)
	}
	r.db.Clock.Advance(20*time.Second + 123456788)
	if got := r.reservation(second.ID); got.State != "held" {
		t.Errorf("a nanosecond before it is %s", got.State)
	}
	r.db.Clock.Advance(1)
	if got := r.reservation(second.ID); got.State != "expired" || r.cell("S").Available != 1 {
		t.Errorf("at its deadline it is %s", got.State)
	}
}

func TestASaleBeyondWhatIsHeldNamesWhoIsAtRisk(t *testing.T) {
	r := newRig(t, server.Options{})
	r.stock("S", 5)
	first, second := r.hold(`{`+lines("S@L:2")+`}`).ID, r.hold(`{`+lines("S@L:2")+`}`).ID
	type answer struct {
		Sequence  uint64
		Shortages []struct {
			SKU, Location string
			ShortBy       int64 `json:"short_by"`
			Reservations  []string
		}
	}
	tell := func(a answer) string {
		text := ""
		for _, s := range a.Shortages {
			text += fmt.Sprintf("%s@%s by %d:", s.SKU, s.Location, s.ShortBy)
			for _, id := range s.Reservations {
				text += " " + map[string]string{first: "first", second: "second"}[id]
			}
		}
		return text
	}
	sale := func(units int) string {
		return fmt.Sprintf(`{"lines":[{"sku":"S","location":"L","quantity":-%d}],"reason":"sale"}`, units)
	}
	for _, step := range []struct{ method, path, body, want string }{
		{"POST", "/v1/stock/adjustments", sale(1), ""},
		{"POST", "/v1/stock/adjustments", sale(1), "S@L by 1: second"},
		{"POST", "/v1/stock/adjustments", sale(2), "S@L by 3: second first"},
		{"PUT", "/v1/stock/S/L", `{"on_hand":0}`, "S@L by 4: second first"},
		{"POST", "/v1/stock/adjustments", sale(3), "S@L by 7: second first"},
	} {
		var got answer
		decodeInto(t, r.do(step.method, step.path, step.body), http.StatusOK, &got) // the till is always right
		if tell(got) != step.want {
			t.Errorf("%s: %q, want %q", step.body, tell(got), step.want)
		}
		var shown answer
		for _, c := range r.poll(fmt.Sprintf("after=%d&limit=1&wait=0", got.Sequence-1)) {
			if err := json.Unmarshal([]byte(c.raw), &shown); err != nil {
				t.Fatal(err)
			}
		}
		if shown.Sequence != got.Sequence || tell(shown) != step.want {
			t.Errorf("%s: the feed shows %q at %d, want %q at %d", step.body, tell(shown), shown.Sequence, step.want, got.Sequence)
		}
	}
	if c := r.cell("S"); c.OnHand != -3 || c.Held != 4 || c.Available != 0 {
		t.Errorf("the cell is %+v", c)
	}
	if lines := refusals(t, r.do("POST", "/v1/reservations", oneLine("S"))); lines[0].Reason != "short" || lines[0].ShortBy != 1 {
		t.Errorf("the next is refused with %+v", lines)
	}
}

func TestTheLastUnitGoesToOne(t *testing.T) {
	const units, callers = 7, 40
	r := newRig(t, server.Options{})
	r.stock("S", units)
	var granted, refused atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			switch got, err := r.try("POST", "/v1/reservations", oneLine("S")); {
			case err != nil:
				t.Error(err)
			case got.status == http.StatusCreated:
				granted.Add(1)
			case got.status == http.StatusConflict:
				refused.Add(1)
			default:
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	if granted.Load() != units || refused.Load() != callers-units {
		t.Errorf("%d were granted and %d refused, there are %d units", granted.Load(), refused.Load(), units)
	}
	if c := r.cell("S"); c.Held != units || c.Available != 0 {
		t.Errorf("the cell is %+v", c)
	}
}

// TestCompareAndSetLosesNoCount lets several read a cell and write one more than they read: with if_sequence nobody writes
// over what he has not seen.
func TestCompareAndSetLosesNoCount(t *testing.T) {
	const callers, each = 4, 10
	r := newRig(t, server.Options{})
	r.stock("S", 0)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for done := 0; done < each; {
				c := r.cell("S")
				got, err := r.try("PUT", "/v1/stock/S/L", fmt.Sprintf(`{"on_hand":%d,"if_sequence":%d}`, c.OnHand+1, c.Sequence))
				switch {
				case err == nil && got.status == http.StatusOK:
					done++
				case err != nil || got.status != http.StatusConflict:
					t.Errorf("%d %s %v", got.status, got.body, err)
					return
				}
			}
		})
	}
	all.Wait()
	if c := r.cell("S"); c.OnHand != callers*each {
		t.Errorf("on hand is %d after %d counts of one more", c.OnHand, callers*each)
	}
}

package server

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/valyala/fasthttp"

	"onhand/server/webhook"
)

func unknownWebhook(id string) error {
	return &problem{
		status: fasthttp.StatusNotFound, kind: "unknown-webhook", title: "There is no such webhook", detail: "unknown webhook " + quoteShort([]byte(id)),
	}
}

// webhookView is an endpoint as the API shows it.
type webhookView struct {
	ID          string   `json:"id"`
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	Locations   []string `json:"locations"`
	Description string   `json:"description"`
	Disabled    bool     `json:"disabled"`
	Reason      string   `json:"disabled_reason,omitzero"`
	// Secret is shown to who puts the endpoint, and to nobody else.
	Secret       webhook.Secret `json:"secret,omitzero"`
	PreviousEnds time.Time      `json:"previous_secret_ends,omitzero"`
	Created      time.Time      `json:"created"`
	Status       webhookStatus  `json:"status"`
}

type webhookStatus struct {
	After     uint64    `json:"after"`
	Behind    uint64    `json:"behind"`
	Waiting   int       `json:"waiting"`
	Delivered uint64    `json:"delivered"`
	Failed    uint64    `json:"failed"`
	GaveUp    uint64    `json:"gave_up"`
	Missed    uint64    `json:"missed"`
	Failing   int       `json:"failing"`
	Error     string    `json:"error,omitzero"`
	Succeeded time.Time `json:"succeeded,omitzero"`
}

func viewOf(e *webhook.Endpoint, st *webhook.Status) *webhookView {
	v := &webhookView{
		ID: e.ID, URL: e.URL, Events: e.Events, Locations: e.Locations, Description: e.Description,
		Disabled: e.Disabled != "", Reason: e.Disabled, Created: e.Created,
		Status: webhookStatus{
			After: st.After, Behind: st.Behind, Waiting: st.Waiting, Delivered: st.Delivered, Failed: st.Failed, GaveUp: st.GaveUp, Missed: st.Missed,
			Failing: st.Failing, Error: st.Error, Succeeded: st.Succeeded.UTC(),
		},
	}
	if e.PreviousEnds.After(time.Now()) {
		v.PreviousEnds = e.PreviousEnds
	}
	return v
}

// answer answers with a value as JSON.
func (c *call) answer(status int, v any) error {
	out, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.out = append(c.out, out...)
	c.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	c.json(status)
	return nil
}

func (s *Server) listWebhooks(c *call) error {
	list := struct {
		Webhooks []*webhookView `json:"webhooks"`
	}{[]*webhookView{}}
	for _, id := range s.hooks.IDs() {
		if e, st, ok := s.hooks.Get(id); ok {
			list.Webhooks = append(list.Webhooks, viewOf(&e, &st))
		}
	}
	return c.answer(fasthttp.StatusOK, list)
}

func (s *Server) getWebhook(c *call) error { return s.answerWebhook(c, fasthttp.StatusOK, "") }

// answerWebhook answers with the endpoint of the path.
func (s *Server) answerWebhook(c *call, status int, secret webhook.Secret) error {
	e, st, ok := s.hooks.Get(c.params[0])
	if !ok {
		return unknownWebhook(c.params[0])
	}
	v := viewOf(&e, &st)
	v.Secret = secret
	return c.answer(status, v)
}

type webhookRequest struct {
	URL         string         `json:"url"`
	Events      []string       `json:"events"`
	Locations   []string       `json:"locations"`
	Description string         `json:"description"`
	Secret      webhook.Secret `json:"secret"`
	Disabled    bool           `json:"disabled"`
}

func (s *Server) putWebhook(c *call) error {
	var in webhookRequest
	if err := s.decode(c, &in); err != nil {
		return err
	}
	e := webhook.Endpoint{
		ID: string([]byte(c.params[0])), URL: in.URL, Events: append([]string{}, in.Events...), Locations: append([]string{}, in.Locations...),
		Description: in.Description, Secret: in.Secret,
	}
	if in.Disabled {
		e.Disabled = "by request"
	}
	e, made, err := s.hooks.Put(e)
	if err != nil {
		return err
	}
	status := fasthttp.StatusOK
	if made {
		status = fasthttp.StatusCreated
	}
	return s.answerWebhook(c, status, e.Secret)
}

func (s *Server) deleteWebhook(c *call) error {
	found, err := s.hooks.Delete(c.params[0])
	if err == nil && !found {
		err = unknownWebhook(c.params[0])
	}
	if err != nil {
		return err
	}
	return c.answer(fasthttp.StatusOK, struct {
		ID string `json:"id"`
	}{c.params[0]})
}

// deliveryView is an attempt as the API shows it.
type deliveryView struct {
	Event    string    `json:"event"`
	Sequence uint64    `json:"sequence,omitzero"`
	Type     string    `json:"type"`
	Attempt  int       `json:"attempt"`
	At       time.Time `json:"at"`
	TookMS   int64     `json:"took_ms"`
	Status   int       `json:"status,omitzero"`
	Outcome  string    `json:"outcome"`
	Error    string    `json:"error,omitzero"`
	Next     time.Time `json:"next_attempt,omitzero"`
}

func viewOfDelivery(d *webhook.Delivery) deliveryView {
	outcome := "delivered"
	switch {
	case d.GaveUp:
		outcome = "gave_up"
	case d.Error != "":
		outcome = "failed"
	}
	return deliveryView{
		Event: d.Event, Sequence: d.Sequence, Type: "onhand." + string(d.Type), Attempt: d.Attempt, At: d.At.UTC(), TookMS: d.Took.Milliseconds(),
		Status: d.Status, Outcome: outcome, Error: d.Error, Next: d.Next.UTC(),
	}
}

// deliveriesPage is how many attempts are listed where no number is asked for.
const deliveriesPage = 100

func (s *Server) getDeliveries(c *call) error {
	limit, err := c.query.number("limit", 1, webhook.DeliveriesKept, deliveriesPage)
	if err != nil {
		return err
	}
	all, ok := s.hooks.Deliveries(c.params[0], int(limit))
	if !ok {
		return unknownWebhook(c.params[0])
	}
	list := struct {
		Deliveries []deliveryView `json:"deliveries"`
	}{[]deliveryView{}}
	for i := range all {
		list.Deliveries = append(list.Deliveries, viewOfDelivery(&all[i]))
	}
	return c.answer(fasthttp.StatusOK, list)
}

func (s *Server) postWebhookTest(c *call) error {
	d, ok := s.hooks.Test(s.context, c.params[0])
	if !ok {
		return unknownWebhook(c.params[0])
	}
	return c.answer(fasthttp.StatusOK, viewOfDelivery(&d))
}

func (s *Server) postRedeliver(c *call) error {
	var in struct {
		From uint64 `json:"from"`
	}
	if err := s.decode(c, &in); err != nil {
		return err
	}
	found, err := s.hooks.Redeliver(c.params[0], in.From)
	if err != nil {
		return err
	}
	if !found {
		return unknownWebhook(c.params[0])
	}
	return s.answerWebhook(c, fasthttp.StatusOK, "")
}

package track

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"golang.org/x/text/language"
)

// texts is a language: all that the pages say in it. None may be left empty.
type texts struct {
	tag string // BCP 47; also the name in the interface

	// stories are what is said of a state. The key is a state, or one of its own for a way of getting the order: state.way,
	// where way is a fulfilment, a handover or the like. See texts.storyKey.
	stories   map[string]story
	payments  map[Payment]string // also of a refund of a part: payment.part, see Page.refundOf
	units     map[string]string  // how a quantity of a unit is written; %d is it. Other units are written behind it.
	collected func(n int64) string
	short     func(n int64) string
	returned  func(n int64) string
	here      func(n int64) string // where the order is collected
	inTransit func(n int64) string
	toSend    func(n int64) string

	partlyCollected string // of an order that is ready
	title           string // of the document: %[1]s is the headline, %[2]s the location
	order           string // %s is the reference
	orderAlone      string // without one

	until, slot, payment, identity string // headings of facts
	payUntil, identityText         string
	code, codeText, qr             string // qr: %s is the code
	where, contact                 string
	mapApp, osm                    string
	phone                          string // call the location, before the number
	steps                          string
	stepDone, stepNow, stepNext    string // for who can't see the marks
	lines                          string
	asOf, zone, refresh            string // %s is a time; a zone
	arrival, arrivalText           string
	bay, bayHint                   string
	vehicle, vehicleHint           string
	announce, announceAgain        string
	arrived, arrivedText, back     string
	arrivedSince                   string // %s is a time
	unknown, unknownText           string // there is no such order
	hours, special                 string
	openNow, openUntil             string // %s is a time
	closedNow, closedUntil         string // %s is a time
	hoursUnknown                   string
	everyDay, closed, notKnown     string
	roundTheClock                  string
	days                           [7]string // from Sunday
	tomorrow, yesterday            string

	clock   func(hour, minute int) string
	date    func(t time.Time) string   // with the weekday, without the year
	ofYear  string                     // %s is a date, %d its year
	at      string                     // %s is a date, %s a time of day
	fromTo  string                     // %s is a date, %s and %s times of day
	atClock string                     // in a sentence: %s is a time of day, of today
	onDate  string                     // in a sentence: %s is a date, %s a time of day
	in, ago func(n int, u unit) string // n units from now, or ago
	justNow string
}

// story is what is told of a state: its name as a step, a headline, what happened, and what to do, if there is anything.
type story struct{ step, title, text, advice string }

// unit is a unit of time.
type unit int

const (
	minute unit = iota
	hour
	day
)

// counted is a word after its number.
type counted struct{ one, many string }

var languages []*texts

func register(t *texts) { languages = append(languages, t) }

// matcher is made when all languages are registered. English is the first, for who wants none of them.
var matcher = sync.OnceValue(func() language.Matcher {
	slices.SortFunc(languages, func(a, b *texts) int {
		if (a.tag == "en") != (b.tag == "en") {
			return map[bool]int{true: -1, false: 1}[a.tag == "en"]
		}
		return cmp.Compare(a.tag, b.tag)
	})
	var tags []language.Tag
	for _, t := range languages {
		tags = append(tags, language.MustParse(t.tag))
	}
	return language.NewMatcher(tags)
})

// acceptMax is how much of a header is read; browsers send a tenth of it.
const acceptMax = 1000

// Language returns which of the languages there are suits a header Accept-Language best, English if none does.
func Language(acceptLanguage string) string {
	m := matcher()
	if len(acceptLanguage) > acceptMax {
		acceptLanguage = ""
	}
	_, i := language.MatchStrings(m, acceptLanguage)
	return languages[i].tag
}

// textsOf returns a language by its tag, English where there is no such.
func textsOf(tag string) *texts {
	matcher() // it puts English first
	if i := slices.IndexFunc(languages, func(t *texts) bool { return t.tag == tag }); i >= 0 {
		return languages[i]
	}
	return languages[0]
}

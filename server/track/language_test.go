package track

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryLanguageHasEveryText(t *testing.T) {
	matcher()
	if len(languages) < 2 || languages[0].tag != "en" {
		t.Fatalf("%d languages, of which the first is %s", len(languages), languages[0].tag)
	}
	english := languages[0]
	for _, l := range languages {
		v := reflect.ValueOf(l).Elem()
		for i := range v.NumField() {
			name, field := v.Type().Field(i).Name, v.Field(i)
			if field.IsZero() {
				t.Errorf("%s: %s is missing", l.tag, name)
			}
			if field.Kind() == reflect.Array {
				for j := range field.Len() {
					if field.Index(j).IsZero() {
						t.Errorf("%s: %s[%d] is missing", l.tag, name, j)
					}
				}
			}
			if field.Kind() == reflect.String {
				if a, b := strings.Count(field.String(), "%"), strings.Count(reflect.ValueOf(english).Elem().Field(i).String(), "%"); a != b {
					t.Errorf("%s: %s has %d places to fill, in English %d", l.tag, name, a, b)
				}
			}
		}
		if got, want := slices.Sorted(maps.Keys(l.stories)), slices.Sorted(maps.Keys(english.stories)); !slices.Equal(got, want) {
			t.Errorf("%s: stories of %v, in English of %v", l.tag, got, want)
		}
		for key, s := range l.stories {
			if s.step == "" || s.title == "" || s.text == "" || s.advice == "" {
				t.Errorf("%s: the story of %s has a gap", l.tag, key)
			}
		}
		for _, s := range steps {
			if l.stories[string(s)] == (story{}) {
				t.Errorf("%s: state %s has no story", l.tag, s)
			}
		}
		for _, p := range payments {
			if l.payments[p] == "" {
				t.Errorf("%s: payment %s is missing", l.tag, p)
			}
		}
		if got, want := slices.Sorted(maps.Keys(l.payments)), slices.Sorted(maps.Keys(english.payments)); !slices.Equal(got, want) {
			t.Errorf("%s: payments %v, in English %v", l.tag, got, want)
		}
		if got, want := slices.Sorted(maps.Keys(l.units)), slices.Sorted(maps.Keys(english.units)); !slices.Equal(got, want) {
			t.Errorf("%s: units %v, in English %v", l.tag, got, want)
		}
	}
}

func TestLanguageIsWhatTheReaderAsksFor(t *testing.T) {
	for header, want := range map[string]string{
		"": "en", "fr": "fr", "fr-CA,fr;q=0.9,en;q=0.8": "fr", "en-GB,en;q=0.9,fr;q=0.8": "en", "de-DE,de;q=0.9": "en",
		"de, fr;q=0.5, en;q=0.4": "fr", "en;q=0.2, fr;q=0.9": "fr", "*": "en", "not a header;;;q=": "en", "FR-fr": "fr",
		"\xff": "en", strings.Repeat("fr,", 1000): "en",
	} {
		if got := Language(header); got != want {
			t.Errorf("Language(%.40q) = %s, want %s", header, got, want)
		}
	}
	if textsOf("tlh").tag != "en" {
		t.Error("a language that there isn't is not English")
	}
}

func FuzzLanguage(f *testing.F) {
	f.Add("fr-CA,fr;q=0.9,en;q=0.8")
	f.Add("*;q=0")
	f.Fuzz(func(t *testing.T, header string) {
		if got := Language(header); got != "en" && got != "fr" {
			t.Errorf("Language(%q) = %q", header, got)
		}
	})
}

func TestTimesAreWrittenOut(t *testing.T) {
	type want struct{ text, relative, near string }
	for _, x := range []struct {
		at     time.Time
		en, fr want
	}{
		{now.Add(30 * time.Second), want{"Wednesday 25 November at 10:23", "now", "at 10:23"},
			want{"mercredi 25 novembre à 10\u202fh\u202f23", "maintenant", "à 10\u202fh\u202f23"}},
		{now.Add(time.Minute), want{"Wednesday 25 November at 10:24", "in 1 minute", "at 10:24"},
			want{"mercredi 25 novembre à 10\u202fh\u202f24", "dans 1 minute", "à 10\u202fh\u202f24"}},
		{now.Add(37 * time.Minute), want{"Wednesday 25 November at 11:00", "in 37 minutes", "at 11:00"},
			want{"mercredi 25 novembre à 11\u202fh", "dans 37 minutes", "à 11\u202fh"}},
		{now.Add(-100 * time.Minute), want{"Wednesday 25 November at 08:43", "1 hour ago", "at 08:43"},
			want{"mercredi 25 novembre à 8\u202fh\u202f43", "il y a 1 heure", "à 8\u202fh\u202f43"}},
		{now.Add(13 * time.Hour), want{"Wednesday 25 November at 23:23", "in 13 hours", "at 23:23"},
			want{"mercredi 25 novembre à 23\u202fh\u202f23", "dans 13 heures", "à 23\u202fh\u202f23"}},
		{now.Add(14 * time.Hour), want{"Thursday 26 November at 00:23", "tomorrow", "tomorrow at 00:23"},
			want{"jeudi 26 novembre à 0\u202fh\u202f23", "demain", "demain à 0\u202fh\u202f23"}},
		{now.Add(-24 * time.Hour), want{"Tuesday 24 November at 10:23", "yesterday", "on Tuesday 24 November at 10:23"},
			want{"mardi 24 novembre à 10\u202fh\u202f23", "hier", "le mardi 24 novembre à 10\u202fh\u202f23"}},
		{time.Date(2026, 12, 1, 0, 0, 0, 0, paris), want{"Tuesday 1 December at 00:00", "in 6 days", "on Tuesday 1 December at 00:00"},
			want{"mardi 1er décembre à 0\u202fh", "dans 6 jours", "le mardi 1er décembre à 0\u202fh"}},
		{time.Date(2027, 1, 2, 9, 5, 0, 0, paris),
			want{"Saturday 2 January 2027 at 09:05", "in 38 days", "on Saturday 2 January 2027 at 09:05"},
			want{"samedi 2 janvier 2027 à 9\u202fh\u202f05", "dans 38 jours", "le samedi 2 janvier 2027 à 9\u202fh\u202f05"}},
	} {
		for lang, want := range map[string]want{"en": x.en, "fr": x.fr} {
			c, _ := textsOf(lang).clockwork(&Page{Now: now, Zone: "Europe/Paris"})
			m := c.moment(x.at.UTC())
			if m.Text != want.text || m.Relative != want.relative || c.near(x.at.UTC()) != want.near {
				t.Errorf("%s: %q, %q, %q, want %q", lang, m.Text, m.Relative, c.near(x.at), want)
			}
		}
	}
}

// On the night in which clocks go back there are two o'clocks twice, an hour apart, and the day has 25 hours.
func TestTimesAreThoseOfTheLocation(t *testing.T) {
	c, zone := textsOf("en").clockwork(&Page{Now: time.Date(2026, 10, 24, 22, 30, 0, 0, time.UTC), Zone: "Europe/Paris"})
	if m := c.moment(time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)); zone != "Europe/Paris" || m.Text != "Sunday 25 October at 02:30" ||
		m.ISO != "2026-10-25T02:30:00+01:00" || m.Relative != "in 3 hours" {
		t.Errorf("%+v", m)
	}
	for _, name := range []string{"", "Local", "Mars/Olympus", "../../etc/passwd"} {
		c, zone := textsOf("en").clockwork(&Page{Now: now, Zone: name})
		if m := c.moment(now); zone != "UTC" || m.Text != "Wednesday 25 November at 09:23" {
			t.Errorf("%q is shown as %s: %+v", name, zone, m)
		}
	}
}

func TestCountsHaveTheirPlural(t *testing.T) {
	fr, en := textsOf("fr"), textsOf("en")
	for got, want := range map[string]string{
		fr.collected(0): "0 retiré", fr.short(1): "1 manquant", fr.returned(2): "2 retournés", en.short(2): "2 missing",
		fr.in(1, day): "dans 1 jour", fr.ago(2, hour): "il y a 2 heures", en.in(1, day): "in 1 day", en.ago(2, minute): "2 minutes ago",
		fr.quantity(2, ""): "2\u00a0×", fr.quantity(250, "gram"): "250\u202fg", en.quantity(3, "box"): "3\u00a0box",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestHoursAreWrittenOut(t *testing.T) {
	c, _ := textsOf("fr").clockwork(&Page{Now: now, Zone: "Europe/Paris"})
	v := c.hoursView(&Hours{Week: week(Span{hhmm(22, 30), hhmm(2, 0)})})
	want := []hoursRow{
		{Days: "Lundi – vendredi", Spans: []string{"22\u202fh\u202f30 – 2\u202fh"}},
		{Days: "Samedi", Spans: []string{"9\u202fh\u202f30 – 12\u202fh\u202f30", "14\u202fh – 19\u202fh"}},
		{Days: "Dimanche", Spans: []string{"fermé"}},
	}
	if !reflect.DeepEqual(v.Week, want) || v.Text != "" {
		t.Errorf("%+v", v)
	}
	for _, x := range []struct {
		hours Hours
		want  string
	}{
		{Hours{}, "Les horaires d’ouverture ne sont pas connus."},
		{Hours{State: Open}, "Ouvert en ce moment"},
		{Hours{State: Closed}, "Fermé en ce moment"},
		{Hours{State: Open, Closes: now.Add(time.Hour)}, "Ouvert en ce moment, ferme à 11\u202fh\u202f23"},
		{Hours{State: Closed, Opens: now.Add(24 * time.Hour)}, "Fermé en ce moment, ouvre demain à 10\u202fh\u202f23"},
		{Hours{State: Closed, Opens: now.Add(72 * time.Hour)}, "Fermé en ce moment, ouvre le samedi 28 novembre à 10\u202fh\u202f23"},
	} {
		if got := c.hoursView(&x.hours).Text; got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}

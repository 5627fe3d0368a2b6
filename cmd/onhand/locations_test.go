package main

import (
	"regexp"
	"slices"
	"testing"

	"onhand/cmd/onhand/storefile"
)

func TestTheHelpNamesEveryColumn(t *testing.T) {
	words := regexp.MustCompile(`\w+`).FindAllString((importLocationsCommand{}).Help(), -1)
	for _, name := range storefile.Columns {
		if !slices.Contains(words, name) {
			t.Errorf("the help of import locations does not name the column %s", name)
		}
	}
}

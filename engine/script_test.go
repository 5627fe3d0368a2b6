package engine_test

import (
	"flag"
	"testing"

	"onhand/engine/enginetest"
)

var update = flag.Bool("update", false, "write the answers that the engine gives into testdata")

// TestScripts carries out testdata: a promise or a rule in each.
func TestScripts(t *testing.T) { enginetest.RunScripts(t, "testdata/*.txt", *update) }

package server

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestTheDocumentListsEveryCall compares the table of routes with docs/openapi.yaml: calls, scopes and parameters.
func TestTheDocumentListsEveryCall(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../docs/openapi.yaml")
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	described := make(map[string]*openapi3.Operation)
	for path, item := range doc.Paths.Map() {
		if item.Servers != nil {
			continue // the admin port
		}
		for method, operation := range item.Operations() {
			described[method+" "+path] = operation
		}
	}
	for _, rt := range routes() {
		call := rt.method + " " + rt.pattern
		operation := described[call]
		if operation == nil {
			t.Errorf("%s is not described", call)
			continue
		}
		delete(described, call)
		scope := "Needs no key."
		if rt.scope != scopePublic {
			scope = "Needs scope `" + rt.scope.Names()[0] + "`."
		}
		if open := operation.Security != nil && len(*operation.Security) == 0; open != (rt.scope == scopePublic) {
			t.Errorf("%s is said to need no key: %t", call, open)
		}
		if !strings.Contains(strings.ReplaceAll(operation.Description, "\n", " "), scope) {
			t.Errorf("%s: the description does not say %q", call, scope)
		}
		var parameters []string
		for _, p := range operation.Parameters {
			if p.Value.In == openapi3.ParameterInQuery {
				parameters = append(parameters, p.Value.Name)
			}
		}
		slices.Sort(parameters)
		if want := slices.Sorted(slices.Values(rt.query)); !slices.Equal(parameters, want) {
			t.Errorf("%s: parameters %v are described, %v are taken", call, parameters, want)
		}
	}
	for call := range maps.Keys(described) {
		t.Errorf("%s is described, and there is no such call", call)
	}
}

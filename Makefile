# Everything here needs Go and nothing else. The tools of lint and check-docs are pinned in .tools/go.mod and built on
# first use.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
FUZZTIME ?= 10s
MINUTES  ?= 10
ONLY     ?=
# The race detector needs a C compiler; without one, Go says CGO_ENABLED=0 and the tests run without it.
RACE     := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# promtool without the cloud clients that only service discovery needs: a minute to build instead of ten.
TOOL     := GOFLAGS="$(GOFLAGS) -tags=remove_all_sd" go tool -modfile=.tools/go.mod

.PHONY: help build demo test bench bench-peers bench-sweep soak lint fmt fuzz cover check-docs check-track clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

build: ## build bin/onhand, static
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/onhand ./cmd/onhand

demo: build ## fill ./.demo with real stores and orders, and serve it on 127.0.0.1:8080
	bin/onhand demo

test: ## vet and test everything
	go vet ./...
	go test $(RACE) -timeout 20m ./...

bench: build ## Go benchmarks, then ratios beside limits and peers (some minutes; leave the machine alone)
	go test -run '^$$' -bench . -benchmem ./...
	bin/onhand bench

bench-peers: build ## the same work for onhand, Redis 7 and PostgreSQL 15, where these are installed (ten minutes)
	bin/onhand bench --only peers

bench-sweep: build ## how cost grows with size, with charts into docs/benchmarks
	bin/onhand bench --only sweep --plots docs/benchmarks

soak: build ## a mixed load with checkpoints, expiry and restarts for MINUTES (10; 3 or more)
	bin/onhand bench --soak $(MINUTES)m

lint: ## format, tidiness, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run: make fmt"; exit 1; }
	go mod tidy -diff
	go -C .tools mod tidy -diff
	$(TOOL) staticcheck ./...

fmt: ## format the sources
	gofmt -w .

fuzz: ## every fuzz target for FUZZTIME (10s)
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

cover: ## test coverage, by package and in cover.html
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -n 1
	go tool cover -html=cover.out -o cover.html

check-docs: ## links, metrics, alert rules and the OpenAPI document
	go test ./cmd/onhand ./server -run Docs -count 1
	$(TOOL) validate -- docs/openapi.yaml
	$(TOOL) promtool check rules docs/alerts/onhand.rules.yml
	$(TOOL) promtool test rules docs/alerts/onhand.rules.test.yml

check-track: ## see the tracking pages in Chromium, with axe (needs Node and npm; ONLY= part of a page's name)
	npm --prefix .tools/track ci
	node .tools/track/check.mjs $(ONLY)

clean: ## remove what make made
	rm -rf bin .demo .bench .tools/track/shots cover.out cover.html

.PHONY: test race lint ci bench allocs fuzz stress faults load pictures

LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

test:
	go test ./...

race:
	go test -race -shuffle=on ./...

lint:
	go run $(LINT) run ./...
	cd bench && go run $(LINT) run ./...

ci:
	.ci/run

# Side by side with others, some ten minutes on a machine that does nothing else.
bench:
	go -C bench run .

allocs:
	go test -run - -bench Request -benchmem .

FUZZTIME ?= 1m
fuzz:
	for p in . ./internal/value ./store ./store/sqlstore ./store/redisstore ./store/express; do \
		for f in $$(go test $$p -list '^Fuzz' | grep ^Fuzz); do \
			go test $$p -run - -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) || exit 1; \
		done; \
	done

# Random operations from many goroutines and two processes, ten minutes in all.
stress:
	RELIABILITY_STRESS=10m go test -race -timeout 1h -run Races -v ./internal/reliability

# Each fault in its full length, and the tables of docs/reliability.md anew.
faults:
	RELIABILITY_LONG=1 go test -timeout 1h -v ./internal/reliability -update

# The example under wrk, a minute a store.
load:
	go test ./example -run UnderLoad -v -timeout 30m -args -load 1m

# Every page of the example in both themes, wide and narrow.
PICTURES ?= pictures
pictures:
	go test ./example -run LookRight -args -screenshots $(abspath $(PICTURES))

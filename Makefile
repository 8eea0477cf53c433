.PHONY: test race lint ci bench fuzz

test:
	go test ./...

race:
	go test -race -shuffle=on ./...

lint:
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

ci:
	.ci/run

bench:
	go test -run - -bench . -benchmem .

FUZZTIME ?= 1m
fuzz:
	for f in FuzzSealedCookie FuzzPlainCookie FuzzSessionCookie FuzzNextURL; do go test . -run - -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; done
	for f in FuzzDecode FuzzString; do go test ./internal/value -run - -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; done

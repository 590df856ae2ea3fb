# What one does with resetflow. `make` alone lists it.

GO    ?= go
BIN   ?= bin/resetflow
LINT   = $(GO) tool -modfile=tools/go.mod golangci-lint
COUNT  = $(GO) run ./internal/testcount

# Packages that drive other processes are tested without the race detector:
# it would only watch the tests. Every other package is tested with it, new ones too.
PLAIN_PATTERN = /(cmd|e2e|bench|attacks)(/|$$)

# In CI nothing is taken from the cache of test results. FAILED names checks
# that failed before the tests and count as failures.
TESTFLAGS ?= -timeout=10m $(if $(CI),-count=1)
FAILED    ?=

.DEFAULT_GOAL := help
.PHONY: help test lint gofmt vet golangci fmt generate bench attacks demo build assets clean setup

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## install what the tests need (as root), or say what is missing
	@./tools/setup

test: setup ## run all tests, on SQLite and PostgreSQL, with the race detector, in a browser
	@plain="$$($(GO) list -e ./... | grep -E '$(PLAIN_PATTERN)' || true)"; \
	race="$$($(GO) list -e ./... | grep -vE '$(PLAIN_PATTERN)')"; \
	$(COUNT) $(addprefix -failed ,$(FAILED)) $(TESTFLAGS) -race $$race $${plain:+-- $(TESTFLAGS) $$plain}

lint: gofmt vet golangci ## check form: gofmt, go vet, golangci-lint (the first run builds it)

gofmt:
	@unformatted="$$(gofmt -l .)"; \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed (make fmt mends it):"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...

golangci:
	$(LINT) run ./...

fmt: ## format the Go files
	gofmt -w .

generate: ## write docs/state.md and docs/errors.md from the code
	$(GO) run ./internal/docgen

attacks: setup ## try the attack corpus; prints held and total by group
	@$(GO) test ./attacks -count=1 -v > .attacks.log; status=$$?; \
	grep -E '^ *--- FAIL|_test.go:[0-9]+:|^attacks:|^(ok|FAIL)' .attacks.log; exit $$status

bench: setup ## measure statements, commits, throughput and timing; prints the report of docs/performance.md
	$(GO) test ./bench -run '^$$' -bench Report -timeout 25m

demo: ## start the demo at http://127.0.0.1:8080
	$(GO) run ./cmd/resetflow demo

build: ## build the program without cgo
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/resetflow

assets: ## fetch browser assets: there are none, the pages carry their own
	@echo "nothing to fetch: styles and scripts of the pages are part of the program"

clean: ## remove what was built
	rm -rf bin coverage.out e2e/screenshots .attacks.log

# The one door for people: `make` lists what there is. Every target does its own set-up.
# CARGO_TARGET_DIR is honoured, from the environment or as `make CARGO_TARGET_DIR=... test`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

SIZE ?= small
PEER ?=
PROFILE ?= dev
ARGS ?=
RUNS ?=
KILLS ?=
BACKEND ?= local
SEED ?=
TARGET ?=
INPUT ?=
# The shell has a variable of this name, too: that one is not meant.
ifeq ($(filter command file,$(word 1,$(origin SECONDS))),)
SECONDS := 60
endif

SCHEMA := cargo run --quiet --locked -p e2e --bin schema --

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## "; print "make <target>" } \
		/^[a-z][a-z-]*:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## See that compilers and tools are here; as root with apt, install what is missing
	@tests/scripts/setup.sh check
	@echo "setup: a C compiler, make, git, $$(rustc --version | cut -d' ' -f1-2), rustfmt and clippy are here"

.PHONY: ready
ready:
	@tests/scripts/setup.sh build

.PHONY: build
build: ready ## Build everything
	cargo build --workspace --all-targets --locked

.PHONY: demo
demo: ready ## Run the flights pipeline with the whole fleet in one process
	cargo run --locked -p worker -- run examples/flights/pipeline.toml $(ARGS)

# The end-to-end tests start the real binaries, so these are built first: from the same packages and targets
# as the tests, hence with the same features, and nothing is compiled twice.
.PHONY: test
test: build ## Run all tests (ARGS="..." goes to cargo test)
	cargo test --workspace --locked $(ARGS)

.PHONY: check
check: setup check-fmt check-clippy check-doc check-dependencies check-schema ## Run all checks but the tests

.PHONY: check-fmt
check-fmt: ## Is the code formatted?
	cargo fmt --all --check

.PHONY: check-clippy
check-clippy: ready ## Is clippy content? (bans with reasons: clippy.toml)
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

.PHONY: check-doc
check-doc: ready ## Does the documentation build, with every link alive?
	RUSTDOCFLAGS="$${RUSTDOCFLAGS:-} -D warnings" \
		cargo doc --workspace --all-features --no-deps --document-private-items --locked

.PHONY: check-dependencies
check-dependencies: ready ## Are all dependencies allowed? (deny.toml)
	tests/scripts/check-dependencies.sh

.PHONY: check-schema
check-schema: ready ## Are the committed JSON Schemas those of the code?
	$(SCHEMA) --check

.PHONY: schema
schema: ready ## Write the JSON Schemas anew
	$(SCHEMA)

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: bench
bench: ready ## Measure hand-off and throughput (PEER=celery), or a pipeline beside a monolith (PEER=FILE.py); ARGS="..."
	cargo build --release --locked -p worker -p producer -p e2e --bins
	binaries=$${CARGO_TARGET_DIR:-target}/release; \
		$(if $(filter %.py,$(PEER)),\
		tests/scripts/monolith-bench $(PEER) --worker "$$binaries/worker" $(ARGS),\
		"$$binaries/fleet-bench" $(if $(PEER),--peer $(PEER)) $(ARGS))

.PHONY: model-check
model-check: ready ## Search the protocol's model for broken invariants (SIZE=small|medium|large)
	cargo run --release --locked -p sim --bin model-check -- --size $(SIZE)

# Chosen as the tests are, so that nothing is compiled twice in the profile dev.
.PHONY: simulate
simulate: ready ## Live through many lives of a fleet of the real worker (RUNS=1000000; SEED=7 replays one; ARGS="--coverage")
	cargo build --profile $(PROFILE) --locked --workspace --bin simulate
	"$${CARGO_TARGET_DIR:-target}/$(patsubst dev,debug,$(PROFILE))/simulate" \
		$(if $(SEED),--seed $(SEED) --trace,--runs $(or $(RUNS),10000)) $(ARGS)

# Workers and people are the binaries beside it, so all are built, as for the tests.
.PHONY: chaos
chaos: build ## Kill, freeze and starve real workers under short runs (RUNS=5000 KILLS=1000 BACKEND=local|aws; ARGS="--seed 7")
	"$${CARGO_TARGET_DIR:-target}/debug/chaos" --backend $(BACKEND) \
		$(if $(RUNS),--runs $(RUNS)) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: planted
planted: ready ## Plant faults in a copy of the code, one at a time: does the simulation find each? (ARGS="NAME ...")
	tests/scripts/planted $(ARGS)

.PHONY: fuzz
fuzz: ready ## Fuzz every reader of what others wrote for SECONDS=60 each (TARGET=csv: only that one; INPUT=FILE: repeat one input)
	tests/scripts/fuzz --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET)) $(if $(INPUT),--input $(INPUT)) $(ARGS)

.PHONY: mutants
mutants: ready ## Change the code where tests should see it, and tell what none saw (ARGS="pipeline", "worker --shard 0/8", ...)
	tests/scripts/mutants $(ARGS)

# The folder of a profile's binaries is its name, but for `dev`. Each profile is built as its other targets build it:
# a choice of packages is a choice of features, and another one compiles most dependencies again.
.PHONY: parity
parity: ready ## Compare with scikit-learn, SHAP, XGBoost and LightGBM (PROFILE=release: sooner done)
	cargo build --profile $(PROFILE) --locked $(if $(filter dev,$(PROFILE)),--workspace --all-targets,-p worker -p producer -p e2e --bins)
	binaries=$${CARGO_TARGET_DIR:-target}/$(patsubst dev,debug,$(PROFILE)); \
		tests/scripts/parity --worker "$$binaries/worker" --producer "$$binaries/producer" $(ARGS)

# Containers are tried with what is deployed, unless another profile is asked for; the profile dev is sooner built.
CONTAINED := $(if $(filter file,$(origin PROFILE)),release,$(PROFILE))

.PHONY: memory-table
memory-table: ready ## Measure what stages take of memory beside what they are estimated to take (ARGS="--only flights")
	cargo build --profile $(PROFILE) --locked $(if $(filter dev,$(PROFILE)),--workspace --all-targets,-p worker -p producer -p e2e --bins)
	binaries=$${CARGO_TARGET_DIR:-target}/$(patsubst dev,debug,$(PROFILE)); \
		python3 tests/scripts/memory_table.py --worker "$$binaries/worker" --producer "$$binaries/producer" $(ARGS)

.PHONY: compose-test
compose-test: ready ## Run the fleet in containers, kill a worker, scale (needs Docker; PROFILE=dev: sooner built)
	cargo build --profile $(CONTAINED) --locked $(if $(filter dev,$(CONTAINED)),--workspace --all-targets,-p worker -p producer -p e2e --bins)
	tests/scripts/compose-test "$${CARGO_TARGET_DIR:-target}/$(patsubst dev,debug,$(CONTAINED))"

.PHONY: image-test
image-test: ## Build the image from source and look whether it is what it should be (needs Docker and half an hour)
	tests/scripts/image-test $(ARGS)

.PHONY: deploy-test
deploy-test: ready ## Check deploy/, and try its stacks with a whole fleet on an emulator
	cargo build --locked --workspace --all-targets
	tests/scripts/deploy-test "$${CARGO_TARGET_DIR:-target}/debug"

.PHONY: deploy
deploy: ## Deploy one component to AWS: COMPONENT=train ENVIRONMENT=prod ARGS="--tag TAG", or --rollback, --show, --yes
	@deploy/bin/deploy $(or $(COMPONENT),$(error say which: COMPONENT=train, or foundation)) \
		$(or $(ENVIRONMENT),$(error say where: ENVIRONMENT=dev)) $(ARGS)

.PHONY: clean
clean: ## Remove build output and tools (runs in .fleetline stay)
	cargo clean
	rm -rf .tools

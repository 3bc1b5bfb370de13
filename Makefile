# Every command of pybench. Each target first sets up what it needs, once.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
APT_BUILD := pkg-config libclang-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev
APT_TEST := ffmpeg chromium
APT_GATE := valgrind
# One more than cores, as many tests wait for processes of their own.
TEST_WORKERS ?= $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help setup build leaderboard docs test soak bench bench-short gate asv lint format wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMPS)/python ## .venv with everything but the Rust extension

build: $(STAMPS)/build ## the Rust extension, into .venv

leaderboard: $(STAMPS)/build ## train suite `quick`, write results/quick/leaderboard.{html,md,json}
	@$(BIN)/pybench run quick

docs: $(STAMPS)/build ## a page per component, with the curves of each loss, into docs/components
	@$(BIN)/pybench docs docs/components

test: $(STAMPS)/build $(STAMPS)/apt-test ## Rust and Python tests
	cargo test --workspace --locked --quiet
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal

soak: $(STAMPS)/build $(STAMPS)/apt-test ## long fuzzing and simulations, an hour or more
	$(BIN)/python -m pytest -m soak

bench: $(STAMPS)/build $(STAMPS)/apt-test ## benchmarks beside their peers
	$(BIN)/python -m pytest tests/bench --benchmark-only --benchmark-group-by=group \
		--benchmark-columns=min,median,iqr,rounds $(BENCH)

# Small workloads and few rounds: shows that every row runs, and roughly how fast.
bench-short: $(STAMPS)/build
	PYBENCH_BENCH_SCALE=1e-3 $(MAKE) --no-print-directory bench \
		BENCH='-k test_kernel --benchmark-max-time=0.02 --benchmark-min-rounds=3'

gate: $(STAMPS)/build $(STAMPS)/apt-gate ## instructions of the Rust kernels against the baseline
	$(BIN)/pybench gate

# COMMITS is what asv calls a range. The machine is named, for asv would take the name of the host.
COMMITS ?= HEAD^!
MACHINE ?= local
asv: $(STAMPS)/build ## speed of COMMITS into the history, drawn as results/asv/index.html
	$(BIN)/python -m pybench.performance.recording results/asv/calls
	cd suites/asv && ../../$(BIN)/asv machine --yes --machine $(MACHINE) --arch "$$(uname -mo)" \
		--cpu "$$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1) ($$(nproc --all) cores)" \
		--ram "$$(sed -n 's/MemTotal: *//p' /proc/meminfo)"
	cd suites/asv && ../../$(BIN)/asv run --machine $(MACHINE) --skip-existing-successful $(ASV) $(COMMITS)
	$(BIN)/pybench asv-page

lint: $(STAMPS)/build ## ruff, mypy, stubtest, rustfmt, clippy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest pybench._core --ignore-disjoint-bases
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

format: $(STAMPS)/python ## ruff and rustfmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cargo fmt --all

# FFmpeg stays the system's: a copy of it in the wheel would need patchelf and bring its licences along.
wheel: $(STAMPS)/python $(STAMPS)/apt-build ## abi3 wheel into dist/, for machines with FFmpeg
	$(BIN)/maturin build --release --locked --auditwheel skip --out dist

clean: ## what make made, except .venv
	rm -rf target dist results/quick results/trials results/cache $(STAMPS)/build pybench/_core*.so
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMPS)/python: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pybench needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra dev 'maturin>=1.16,<2'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: $(STAMPS)/python $(STAMPS)/apt-build $(RUST_SOURCES)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked --quiet
	@touch $@

# As root the packages are installed; otherwise the exact line to type is printed.
define apt
	@missing=""; for package in $(1); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
		else \
			echo "These Debian packages are needed; type:"; \
			echo "  sudo apt-get install -y --no-install-recommends$$missing"; exit 3; \
		fi; \
	fi
	@mkdir -p $(STAMPS) && touch $@
endef

$(STAMPS)/apt-build:
	$(call apt,$(APT_BUILD))

$(STAMPS)/apt-test:
	$(call apt,$(APT_TEST))

$(STAMPS)/apt-gate:
	$(call apt,$(APT_GATE))

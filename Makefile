# The front door: each target is one script or one call of meson; `make help` lists them.
# A fresh Debian 12 needs make and a shell; scripts/setup.sh installs the rest on the way.

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
.DEFAULT_GOAL := build
.PHONY: build up test test-all screens bench bench-kit bench-geocode bench-geocode-scale bench-nominatim bench-nominatim-scale bench-metrics bench-traces fuzz lint format asan tsan coverage parity quality peers install uninstall \
	clean help

build: ## build/sextant and build/examples/hello
	@scripts/setup.sh build
	@scripts/build.sh build sextant examples/hello
	@$(if $(filter-out build,$(MAKECMDGOALS)),:,echo "built build/sextant and build/examples/hello; next: make up")

up: build ## build, then serve everything on real data (ARGS="--dir DIR")
	@exec build/sextant up $(ARGS)

test: ## unit tests, also under ASan+UBSan, and end-to-end tests; last line: N passed, N failed
	@scripts/setup.sh build test
	@scripts/test.py unit asan e2e

test-all: ## make test, and TSan, e2e under sanitizers, kill loops, long fuzzing, peers
	@scripts/setup.sh build test fuzz peers
	@scripts/peers.sh
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-600} scripts/test.py unit asan tsan e2e e2e-asan e2e-tsan kill peers fuzz

screens: build ## takes what the main pages look like now as the reference pictures of the end-to-end tests
	@scripts/setup.sh build test
	@SEXTANT_SCREENS=accept build/e2e/venv/bin/python -m pytest -c tests/e2e/pytest.ini tests/e2e/test_ui_screens.py

asan: ## unit and end-to-end tests under ASan+UBSan
	@scripts/setup.sh build test
	@scripts/test.py asan e2e-asan

tsan: ## unit and end-to-end tests under TSan
	@scripts/setup.sh build test
	@scripts/test.py tsan e2e-tsan

bench: ## measure us and our peers in one run
	@scripts/setup.sh build bench
	@scripts/bench.sh

bench-kit: ## the kit's hot paths beside C++ and Go libraries, as a table of ratios
	@scripts/setup.sh build bench
	@scripts/bench.sh kit/bench_kit

bench-geocode: ## the geocoder beside Addok, as a table of ratios; about five minutes (ARGS=--quick: one)
	@scripts/setup.sh build test bench
	@scripts/build.sh build sextant bench/http/rate_load bench/geocode/bench_search
	@bench/geocode/bench_beside_addok.py $(ARGS)

bench-nominatim: ## the geocoder beside Nominatim, as a table of ratios; about four minutes (ARGS=--quick: one)
	@scripts/setup.sh build test bench
	@scripts/build.sh build sextant bench/http/rate_load
	@bench/nominatim/bench_beside_nominatim.py $(ARGS)

bench-nominatim-scale: ## import of an artificial OpenStreetMap country of 100 million nodes (ARGS="--nodes N")
	@scripts/setup.sh build bench
	@scripts/build.sh build sextant bench/nominatim/synth_pbf
	@bench/nominatim/scale.py $(ARGS)

bench-metrics: ## the observatory beside Prometheus and VictoriaMetrics (make peers), as a table (ARGS=--quick)
	@scripts/setup.sh build bench
	@scripts/build.sh build sextant bench/observe/feed
	@bench/observe/beside_prometheus.py $(ARGS)

bench-traces: ## the trace store beside Jaeger and VictoriaTraces (make peers), as a table (ARGS=--quick)
	@scripts/setup.sh build bench
	@scripts/build.sh build sextant bench/observe/span_feed
	@bench/observe/beside_jaeger.py $(ARGS)

bench-geocode-scale: ## the geocoder on 2,000,000 streets: build, memory, file, open, searches (ARGS="--streets N")
	@scripts/setup.sh build bench
	@scripts/build.sh build sextant
	@bench/geocode/scale.py $(ARGS)

fuzz: ## every fuzz target for FUZZ_SECONDS (60); ONLY=NAME for one
	@scripts/setup.sh build fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.py $(ONLY)

lint: ## floors, comments, banned functions, clang-format, clang-tidy (LINT=fast skips that one)
	@scripts/setup.sh build lint
	@scripts/lint.py

format: ## apply clang-format to every C and C++ file
	@scripts/setup.sh lint
	@git ls-files -z --cached --others --exclude-standard '*.c' '*.h' '*.cc' | xargs -0 clang-format-19 -i

coverage: ## what the unit tests reach: a table, and build-coverage/coverage/index.html
	@scripts/setup.sh build coverage
	@scripts/coverage.sh

parity: build ## the geocoder beside Addok on fresh queries (ARGS="--queries 10000 --seed 1")
	@scripts/setup.sh build test
	@tests/parity/parity.py $(ARGS)

quality: build ## right first answers: us, us with better=1, Addok (ARGS="--queries 200 --seed 1")
	@scripts/setup.sh build test
	@tests/quality/quality.py $(ARGS)
	@tests/quality/geocoder_tester.py

peers: ## build the peers written in Go into .cache/peers/bin
	@scripts/setup.sh peers
	@scripts/peers.sh

install: ## install below PREFIX (/usr/local), inside DESTDIR if it is set
	@scripts/setup.sh build
	@scripts/install.sh "$(PREFIX)" "$(DESTDIR)"

uninstall: ## remove what make install put there (same PREFIX and DESTDIR)
	@scripts/uninstall.py "$(PREFIX)" "$(DESTDIR)"

clean: ## remove every build folder; .cache with the downloaded peers stays
	@rm -rf build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

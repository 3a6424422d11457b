# make run     from a fresh clone to the first picture
# make test    everything that must hold: linters and tests, with real browsers and players
#
# start.sh knows how to make the environment; here stands what to do in it.

BIN := .venv/bin
# How long the bounded ones run.
soak: SECONDS ?= 600
fuzz: SECONDS ?= 60
small: MINUTES ?= 60

.PHONY: help install run test check dev system browser bench soak small fuzz fuzz-api

help:
	@sed -n 's/^# make /make /p' Makefile
	@echo "make install | check | bench | soak SECONDS=600 | small MINUTES=60 | fuzz SECONDS=60 | fuzz-api SECONDS=60"

install:
	@./start.sh --install

run:
	@./start.sh $(ARGS)

dev:
	@./start.sh --install dev

# What the tests run against: a browser, players, reverse proxies, an MQTT server, and a compiler for the bench's own
# programs. Debian starts nginx, Caddy and Mosquitto once they are installed; tools/apt.sh stops them again, since the
# tests start their own.
system:
	@command -v chromium-headless-shell >/dev/null || tools/apt.sh chromium-headless-shell
	@command -v ffmpeg >/dev/null || tools/apt.sh ffmpeg
	@command -v curl >/dev/null || tools/apt.sh curl
	@test -x /usr/sbin/nginx || command -v nginx >/dev/null || tools/apt.sh nginx-light
	@command -v caddy >/dev/null || tools/apt.sh caddy
	@test -x /usr/sbin/mosquitto || command -v mosquitto >/dev/null || tools/apt.sh mosquitto
	@command -v systemd-analyze >/dev/null || tools/apt.sh systemd
	@command -v cc >/dev/null || tools/apt.sh build-essential

check: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# First all that share the machine well, three at a time since many wait, each in a third of the tests until it can take
# from another's; then those that hold real time and mostly wait, with nothing else beside them.
test: check system
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	$(BIN)/pytest -n 3 --dist worksteal -m "not timed"
	$(BIN)/pytest -n 2 --dist worksteal -m timed
endif

# The whole of it, as people have it.
browser:
	@command -v chromium >/dev/null || tools/apt.sh chromium

bench: dev system browser
	$(BIN)/python -m bench $(ARGS)

soak: dev system
	$(BIN)/python -m bench.soak --seconds $(SECONDS)

small: dev system
	$(BIN)/python -m bench.small --minutes $(MINUTES)

fuzz: dev
	$(BIN)/python -m fuzz --seconds $(SECONDS)

# The API against its own reference.
fuzz-api: SECONDS ?= 60
fuzz-api: dev
	$(BIN)/python -m fuzz.api --seconds $(SECONDS)

# tlswarden: everything is built into $(BUILD). `make help` lists the targets; V=1 shows the commands.
#
# Targets that people type (`make`, `make run`, `make test` …) first see to it that the packages they need are there
# (tests/deps), and only then call make again: until then no compiler, pkg-config or bpftool may be on the machine.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.DEFAULT_GOAL := all

BUILD ?= build
PREFIX ?= /usr
DESTDIR ?=
VERSION := 0.4.0
CC := gcc
CLANG := clang
BPFTOOL = $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
MULTIARCH := $(shell uname -m)-linux-gnu
PYTHON := /usr/bin/python3
export PYTHONDONTWRITEBYTECODE := 1

Q := $(if $(V),,@)
# For the calls of make again: on all processors, unless whoever called make said how many.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)';)

PKGS := libbpf libelf zlib libcrypto libssl yaml-0.1 json-c libseccomp libsystemd
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wno-missing-field-initializers
HARDEN_x86 := -fcf-protection
HARDEN_arm64 := -mbranch-protection=standard
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection $(HARDEN_$(ARCH)) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
INCLUDES := -Iinclude -I$(BUILD)
CPPFLAGS := -D_GNU_SOURCE -DTLSWARDEN_VERSION='"$(VERSION)"' $(INCLUDES) -MMD -MP
CFLAGS := -std=gnu11 -O2 -g $(WARN) $(HARDEN)
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lpthread
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_CFLAGS := -std=gnu11 -O1 -g $(WARN) -fPIE $(SAN)
# v2 is what every kernel from 5.10 on takes; asm/types.h lies in the multiarch directory, which -target bpf does not search;
# BPF_PROG() of libbpf names a context parameter that most programs leave unused.
BPF_CFLAGS := -target bpf -mcpu=v2 -D__TARGET_ARCH_$(ARCH) -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -Ibpf \
	-idirafter /usr/include/$(MULTIARCH)

SRC := $(sort $(wildcard user/*/*.c))
OBJ := $(SRC:%.c=$(BUILD)/%.o)
SAN_OBJ := $(SRC:%.c=$(BUILD)/san/%.o)
UNIT := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT:tests/unit/%.c=$(BUILD)/unit/%)
SKEL := $(BUILD)/warden.skel.h
PROGRAM := $(BUILD)/tlswarden
BENCH := $(BUILD)/bench/handshake $(BUILD)/bench/transfer $(BUILD)/bench/empty $(BUILD)/bench/rules

.PHONY: all deps program run test test-unit test-live test-gate test-kernels test-libraries demo bench lint fuzz fuzz-corpus coverage install uninstall clean help
all:  ## install what is missing (as root), then build the program
	$(Q)tests/deps build
	$(Q)$(MAKE) $(JOBS) program

deps:  ## install with apt-get what build, tests and lint need and lack (as root)
	$(Q)tests/deps

program: $(PROGRAM)

run: all  ## run the agent in audit mode on the example policies; events on standard output (as root)
	$(Q)exec $(PROGRAM) run --policy deploy/policies --mode audit --events all --output -

$(PROGRAM): $(BUILD)/user/main.o $(OBJ)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# The version is in these.
$(BUILD)/user/main.o $(BUILD)/user/agent/judge.o $(BUILD)/user/agent/standing.o: Makefile

$(BUILD)/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# --- BPF ------------------------------------------------------------------------------------------------------------
$(BUILD)/warden.bpf.o: bpf/warden.bpf.c $(wildcard bpf/*.h) $(addprefix include/,records.h spread.h check.h layout.h gate_maps.h session_program.h siphash.h verdict_key.h)
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(SKEL): $(BUILD)/warden.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name warden_bpf > $@

$(OBJ) $(SAN_OBJ): | $(SKEL)

# --- tests: each part prints `N passed, N failed` as its last line; `make test` ends with their sum --------------------
test:  ## everything that must pass: unit tests, PKITS, live tests, the demo (as root)
	$(Q)tests/deps build test
	$(Q)$(MAKE) $(JOBS) program $(BUILD)/fixtures/.done units
	$(Q)BUILD='$(abspath $(BUILD))' tests/run-all $(UNIT_BIN)

.PHONY: units
units: $(UNIT_BIN)

test-unit: units  ## unit tests, under ASan and UBSan
	$(Q)tests/run-unit $(UNIT_BIN)

test-live: program $(BUILD)/fixtures/.done  ## the agent against real clients and servers (as root)
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) tests/live/run.py

# `make test` takes the same with fewer connections.
test-gate: program $(BUILD)/fixtures/.done  ## the gate's promise in full: 200 condemned connections a client and TLS version (as root)
	$(Q)BUILD='$(abspath $(BUILD))' GATE_COUNT=200 $(PYTHON) tests/live/run.py gate.

SUITES ?= bullseye bookworm trixie sid
test-kernels:  ## the agent on the kernels of SUITES, Debian's, in QEMU (as root, 2 minutes)
	$(Q)tests/deps build kernels
	$(Q)$(MAKE) $(JOBS) program $(BUILD)/fixtures/.done
	$(Q)BUILD='$(abspath $(BUILD))' tests/kernels/run $(SUITES)

STORM ?= 300
HEAVY ?= yes
test-libraries:  ## clients of the suites in containers, a storm of processes, 32-bit code; HEAVY=: without Go, Java and 1,000 rounds (as root, 10 minutes)
	$(Q)tests/deps build test libraries $(if $(HEAVY),heavy)
	$(Q)$(MAKE) $(JOBS) program $(BUILD)/fixtures/.done
	$(Q)BUILD='$(abspath $(BUILD))' $(PYTHON) tests/libraries/run.py --storm $(STORM) $(if $(HEAVY),--heavy) $(SUITES)

demo:  ## the 1.1.1.1 incident, played in a network namespace (as root)
	$(Q)tests/deps build test
	$(Q)$(MAKE) $(JOBS) program $(BUILD)/fixtures/.done
	$(Q)BUILD='$(abspath $(BUILD))' tests/demo/run

# A test that is not registered is an unused function and breaks the build.
$(BUILD)/san/user/%.o: user/%.c
	@mkdir -p $(@D)
	$(call say,CC-SAN,$<)$(CC) $(CPPFLAGS) $(SAN_CFLAGS) -c $< -o $@

$(BUILD)/san/libunits.a: $(SAN_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/unit/%.o: tests/unit/%.c | $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC-SAN,$<)$(CC) $(CPPFLAGS) -Itests/unit -DFIXTURES='"$(abspath $(BUILD))/fixtures"' $(SAN_CFLAGS) \
		-Werror=unused-function -c $< -o $@

$(BUILD)/unit/%: $(BUILD)/unit/%.o $(BUILD)/san/libunits.a $(BUILD)/fixtures/.done
	$(call say,UNIT,$@)$(CC) $(SAN_CFLAGS) $< $(BUILD)/san/libunits.a $(LDLIBS) -lcmocka -o $@

.SECONDARY: $(UNIT_BIN:%=%.o)

$(BUILD)/fixtures/.done: $(wildcard tests/fixtures/*.sh tests/fixtures/*.py)
	$(call say,FIXT,$(@D))mkdir -p $(@D) && bash tests/fixtures/make.sh $(@D) && touch $@

# --- bench ----------------------------------------------------------------------------------------------------------
bench:  ## what many rules cost; handshakes without the agent and with it; the gate: time to release and kill, packets, clients (as root, about 30 minutes)
	$(Q)tests/deps build test
	$(Q)$(MAKE) $(JOBS) program $(BUILD)/fixtures/.done $(BENCH)
	$(Q)$(BUILD)/bench/rules
	$(Q)$(PYTHON) tests/bench/bench.py --build $(BUILD)
	$(Q)$(PYTHON) tests/bench/gate.py --build $(BUILD)
	$(Q)$(PYTHON) tests/bench/gate_clients.py --build $(BUILD)

$(BUILD)/bench/handshake $(BUILD)/bench/transfer: $(BUILD)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $< $(LDLIBS) -o $@

# Pure code only.
PURE_OBJ := $(filter $(BUILD)/user/util/% $(BUILD)/user/x509/% $(BUILD)/user/policy/%,$(OBJ))
$(BUILD)/bench/rules: tests/bench/rules.c tests/bench/rules_world.c tests/bench/rules_world.h $(PURE_OBJ)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) $(LDFLAGS) $(filter-out %.h,$^) $(LDLIBS) -o $@

$(BUILD)/bench/empty.bpf.o: tests/bench/empty.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bench/empty.skel.h: $(BUILD)/bench/empty.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name empty_bpf > $@

# The site is picked by the agent's own code, so that both probes sit on the same instruction.
$(BUILD)/bench/empty: tests/bench/empty.c $(BUILD)/bench/empty.skel.h $(BUILD)/user/library/site.o
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -I$(BUILD)/bench $(LDFLAGS) $< $(BUILD)/user/library/site.o $(LDLIBS) -o $@

# --- fuzzing and coverage ---------------------------------------------------------------------------------------------
# Only what parses an attacker's bytes is built for it, by clang; FUZZ_TARGETS="path graph" picks some.
FUZZ_SECONDS ?= 30
FUZZ_TARGETS ?= certificate graph path trust crl pem ct_list policy test_file event cgroup
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_CFLAGS := -std=gnu11 -O1 -g $(WARN) $(FUZZ_SAN)
FUZZ_OBJ := $(patsubst %.c,$(BUILD)/fuzz/%.o,$(sort $(wildcard user/util/*.c user/x509/*.c user/policy/*.c user/event/*.c)))
FUZZ_SHARED := $(patsubst %,$(BUILD)/fuzz/tests/fuzz/%.o,fuzz der_mutate path_check problems_check)
FUZZ_BIN := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)

fuzz:  ## libFuzzer on each parser for FUZZ_SECONDS (30), two at a time; what it finds stays in the build directory
	$(Q)tests/deps build test
	$(Q)$(MAKE) $(JOBS) $(FUZZ_BIN) $(BUILD)/fuzz/seeds/.done
	$(Q)BUILD='$(abspath $(BUILD))' FUZZ_SECONDS='$(FUZZ_SECONDS)' tests/fuzz/run $(FUZZ_BIN)

fuzz-corpus: $(FUZZ_BIN) $(BUILD)/fuzz/seeds/.done  ## keep in tests/fuzz/corpus what `make fuzz` has found and is new
	$(Q)BUILD='$(abspath $(BUILD))' tests/fuzz/merge $(FUZZ_BIN)

$(FUZZ_BIN): $(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(FUZZ_SHARED) $(BUILD)/fuzz/libfuzzed.a
	$(call say,FUZZ,$@)$(CLANG) -fsanitize=fuzzer $(FUZZ_SAN) $^ $(LDLIBS) -o $@

$(BUILD)/fuzz/libfuzzed.a: $(FUZZ_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CLANG,$<)$(CLANG) -fsanitize=fuzzer-no-link $(CPPFLAGS) $(FUZZ_CFLAGS) -c $< -o $@

$(BUILD)/fuzz/seeds/.done: tests/fuzz/seeds.py $(BUILD)/fixtures/.done $(wildcard deploy/policies/*.yaml)
	$(Q)rm -rf $(@D) && mkdir -p $(@D) && $(PYTHON) tests/fuzz/seeds.py $(BUILD)/fixtures $(@D) && touch $@

# The unit tests once more, without sanitizers, in a build directory of their own. Without warnings: the other build gives
# them, and what gcc guesses of lengths without optimizing is not worth reading.
COVERAGE := --coverage -O0 -w
coverage:  ## lines of user/policy and user/x509 that the unit tests cover; fails below 90 %
	$(Q)tests/deps build test
	$(Q)$(MAKE) $(JOBS) BUILD='$(BUILD)/cov' SAN='$(COVERAGE)' units
	$(Q)find '$(BUILD)/cov' -name '*.gcda' -delete
	$(Q)$(MAKE) BUILD='$(BUILD)/cov' SAN='$(COVERAGE)' test-unit
	$(Q)tests/coverage '$(BUILD)/cov'

# --- the rest -------------------------------------------------------------------------------------------------------
lint:  ## formatting, second compiler, static analysis, layers, scripts
	$(Q)tests/deps build lint
	$(Q)$(MAKE) $(JOBS) $(SKEL)
	$(Q)BUILD='$(BUILD)' CC='$(CLANG)' FLAGS='-std=gnu11 -O2 $(WARN) $(HARDEN)' tests/lint

# Files of the administrator are never overwritten: a configuration or policy that is there stays as it is.
SBIN = $(DESTDIR)$(PREFIX)/sbin
UNITS = $(DESTDIR)$(PREFIX)/lib/systemd/system
DOC = $(DESTDIR)$(PREFIX)/share/doc/tlswarden
MAN = $(DESTDIR)$(PREFIX)/share/man/man8
ETC = $(DESTDIR)/etc/tlswarden
install: all  ## install program, unit, example configuration and policies, documents, man page (DESTDIR, PREFIX)
	$(call say,INSTALL,$(SBIN)/tlswarden)install -D -m 755 $(PROGRAM) $(SBIN)/tlswarden
	$(Q)install -d $(UNITS) $(DOC)/docs $(DOC)/policies/tests/chains $(ETC)/policies.d
	$(Q)sed 's|/usr/sbin/|$(PREFIX)/sbin/|' deploy/tlswarden.service > $(UNITS)/tlswarden.service
	$(Q)chmod 644 $(UNITS)/tlswarden.service
	$(Q)install -m 644 LICENSE CHANGELOG.md README.md $(DOC)
	$(Q)install -m 644 $(wildcard docs/*.md) $(DOC)/docs
	$(Q)install -m 644 $(wildcard deploy/policies/*.yaml) $(DOC)/policies
	$(Q)install -m 644 $(wildcard deploy/policies/tests/*.yaml) $(DOC)/policies/tests
	$(Q)install -m 644 $(wildcard deploy/policies/tests/chains/*.pem) $(DOC)/policies/tests/chains
	$(Q)install -D -m 644 docs/tlswarden.8 $(MAN)/tlswarden.8
	$(Q)for file in tlswarden.yaml $(patsubst deploy/policies/%,policies.d/%,$(wildcard deploy/policies/*.yaml)); do \
		[ -e $(ETC)/$$file ] || install -m 644 deploy/$${file/policies.d/policies} $(ETC)/$$file || exit 1; done

uninstall:  ## remove what install put there; /etc/tlswarden stays
	$(Q)rm -rf $(SBIN)/tlswarden $(UNITS)/tlswarden.service $(DOC) $(MAN)/tlswarden.8

clean:  ## remove everything that was built
	$(Q)rm -rf $(BUILD)

help:  ## this list
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## /\1\t/' | expand -t 12

-include $(wildcard $(BUILD)/user/*.d $(BUILD)/user/*/*.d $(BUILD)/san/user/*/*.d $(BUILD)/unit/*.d $(BUILD)/bench/*.d $(BUILD)/fuzz/user/*/*.d $(BUILD)/fuzz/tests/fuzz/*.d)

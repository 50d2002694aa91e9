# The one entry. Everything but `build` and `check` needs root, directly or through sudo; .ci/run calls the same targets.

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# sudo would forget where Swift is, and what a caller asked for.
ROOT := $(SUDO) env "PATH=$(PATH):/usr/sbin:/sbin" $(if $(BLESS),BLESS=$(BLESS))

.PHONY: help setup build test test-guest check fmt demo bench clean

help:
	@echo 'make setup   install the Debian packages that building and testing need'
	@echo 'make build   the release binary, .build/sdagent: static Swift, no Swift needed on the node'
	@echo 'make test    every test, with namespaces, disks, peers and a guest; ends with the sum'
	@echo 'make test-guest  the tests of the switch on Debian'"'"'s own kernel, in a guest: some 25 minutes'
	@echo 'make check   the form: swift-format and the house rules, in seconds'
	@echo 'make fmt     put the form right'
	@echo 'make demo    a switch, a router, disks and two real VMs, shown step by step; cleans up after itself'
	@echo 'make bench   side by side with ip, nft, Open vSwitch and tgtd'

setup:
	@.ci/setup

build:
	@.ci/setup build
	swift build -c release --static-swift-stdlib --product sdagent
	@# Half of it is symbols. A copy without them goes to the nodes; with the other a debugger reads what happened there.
	strip -o .build/sdagent .build/release/sdagent

test: setup
	guest/build
	swift build --build-tests
	$(ROOT) .ci/test

# What needs bridges with conntrack, or names of bridges in rules; and that an older kernel takes what we send it.
test-guest: setup
	swift build --build-tests
	$(ROOT) guest/run-tests --time 3000 'VSwitchTests.*(Fence|Guard|Denial|Group|Closure|PacketTests|ZoneTests|FlowTests|VLANTests|TrunkTests)'

check: setup
	swift format lint --strict --parallel --recursive Package.swift Sources Tests
	swift test --filter TidyTests

fmt:
	swift format --in-place --parallel --recursive Package.swift Sources Tests

demo: setup build
	@guest/build
	@$(ROOT) demo/run

bench: build
	@.ci/setup bench
	@$(ROOT) Benchmarks/run

clean:
	rm -rf .build .cache

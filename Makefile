# Two commands do everything on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`. Which Python:
# hack/setup, or PYTHON=python3.13.
VENV ?= .venv
export VENV
# Where there is a node, the page is built while Python's packages are installed
MAKEFLAGS += -j2
NODE := $(shell VENV=none hack/node node --version 2>/dev/null)

.PHONY: demo test test-lab web lock wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   the gateway with its embedded chain on http://localhost:8080"
	@echo "make test   every check this machine can run"
	@echo "make web    build the browser page;  make wheel: the package, page included"
	@echo "make lock   pin the dependencies anew"

demo: $(VENV)/.ready web
	$(VENV)/bin/dap serve --demo

test: $(VENV)/.ready web
	hack/check

test-lab: $(VENV)/.ready web
	hack/check-lab

web: gateway/server/page/index.html

gateway/server/page/index.html: $(if $(NODE),,| $(VENV)/.ready)
gateway/server/page/index.html: web/package-lock.json web/build.mjs web/index.html web/icon.svg web/manifest.json $(shell find web/src -type f)
	hack/node npm --prefix web ci --no-audit --no-fund
	hack/node npm --prefix web run build
	@touch $@

wheel: $(VENV)/.ready web
	$(VENV)/bin/python -m build --wheel

lock: $(VENV)/.ready
	hack/lock

$(VENV)/.ready: pyproject.toml requirements.lock hack/lint.lock
	hack/setup
	@touch $@

clean:
	rm -rf $(VENV) web/node_modules web/build gateway/server/page dist

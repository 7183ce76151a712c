# Two commands for a fresh clone: `make demo` and `make test`. They need Python >= 3.11, make and a package registry.
#
# VENV=folder   puts the environment somewhere else than .venv
# PYTHON=python3.12   makes it with another Python

VENV ?= .venv
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: demo test lint bench sheet docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed  ## Enhance examples/photos into demo-output
	rm -rf demo-output
	$(BIN)/enhance auto --verbose examples/photos demo-output
	$(BIN)/python examples/sheet.py examples/photos demo-output demo-output/before-after.png
	$(BIN)/enhance gallery --quiet demo-output
	@echo
	@echo "Open in a browser:"
	@echo "  file://$(CURDIR)/demo-output/gallery/index.html"
	@echo "Look at:"
	@echo "  demo-output/before-after.png        every photo above its enhanced copy"
	@echo "  demo-output/*.jpg, *.png, *.webp    the enhanced photos, under the names of their sources"
	@echo "  demo-output/enhance-report.jsonl    a line per photo: what was chosen and why, exposure before and after"

test: lint  ## Everything that a change must pass
	$(BIN)/python -m pytest --quiet

lint: $(VENV)/.installed-dev  ## Style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev  ## Start-up and stream, on small folders; docs/benchmarks.md says how to measure properly
	$(BIN)/python -m benchmarks.speed --methods clahe-adaptive --parts startup stream --long 12 --short 4 --rounds 2

sheet: $(VENV)/.installed  ## The pictures of the README and of the tutorial
	$(BIN)/python examples/sheet.py --enhance examples/photos docs/images/before-after.jpg
	$(BIN)/python examples/methods_sheet.py examples/photos docs/images/methods.jpg
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python docs/pictures.py

docs: $(VENV)/.installed-dev  ## Regenerate what the documents show of the program
	$(BIN)/python docs/generate.py

clean:  ## Remove what these commands made
	rm -rf demo-output build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf .venv

# --- environments ---------------------------------------------------------------------------------------------
# Torch comes first and by its exact version: within a range an installer would fetch gigabytes for a newer one.

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "enhance needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV); this happens once and takes a few minutes."
	$(PIP) install --constraint constraints.txt $(TORCH)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Adding what the tests need to $(VENV)."
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

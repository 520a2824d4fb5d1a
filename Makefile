# Everything a fresh clone needs: `make demo` and `make test` install into .venv and run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: demo test test-slow lint dist docs gallery clean install

install: $(STAMP)

$(STAMP): setup.py constraints.txt $(wildcard mmreg/spatial/compiled/csrc/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	# The engine asks for opencv-python, which needs the libraries of a desktop; the headless build takes its place.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --force-reinstall --no-deps opencv-python-headless
	touch $@

demo: $(STAMP)
	$(BIN)/python tools/demo.py --out demo_out

# Doctests run among them (tests/test_doctests.py).
test: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-slow: $(STAMP) $(VENV)/.release
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n $(WORKERS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site in site/; a broken link or a name that the reference cannot find fails it.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

# The pictures of docs/gallery.md, drawn and registered again; screenshots need Chromium.
gallery: $(STAMP)
	$(BIN)/python tools/make_gallery.py

# One wheel for every Python with the kernels of this system, one without kernels for the others, and the sources.
dist: $(STAMP) $(VENV)/.release
	rm -rf dist
	$(BIN)/python tools/build_dist.py dist

$(VENV)/.release: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[release]"
	touch $@

clean:
	rm -rf $(VENV) demo_out work_dirs build dist site *.egg-info

# Everything needed is python3 (3.11 or newer) and make; the first target fetches the rest.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check gpu cluster results wheelhouse sbom niivue clean

PYTHON ?= python3
# Waiting threads must not spin: on a busy machine that makes torch many times slower.
export OMP_WAIT_POLICY ?= PASSIVE
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VIEWER := src/dvcl/viewer/niivue
NIIVUE ?= 0.69.0

# What a machine without internet gets, and what the list of contents is of.
EXTRAS ?= fast,figures,formats,export
SBOM_TOOL ?= cyclonedx-bom==7.5.0

help: ## list the targets
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12
	@echo "The first run fetches the dependencies into $(VENV). Without an NVIDIA GPU take the smaller"
	@echo "build of PyTorch: export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"

demo: $(INSTALLED) ## train, predict and report on made-up scans, in a few minutes
	$(BIN)/dvcl demo

# One process per core, at most four; a file's tests stay together and share what they prepare.
test: $(INSTALLED) ## run all tests
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

check: $(INSTALLED) ## format, lint, types, import order, documented commands
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_import_direction.py tests/test_documentation.py

gpu: $(INSTALLED) ## all checks and measurements of a GPU, in 25 minutes; a small form without one
	$(BIN)/python benchmarks/gpu.py

cluster: $(INSTALLED) ## run the tests of Slurm, on a cluster of their own (needs Debian's slurm-wlm and munge)
	$(BIN)/python -m pytest --timeout=600 tests/cluster

results: $(INSTALLED) ## write the pages of docs/results anew from docs/recorded
	$(BIN)/python -m dvcl.commands.results docs

wheelhouse: ## fetch all that an installation without internet needs, for this system and Python
	rm -rf wheelhouse
	$(PYTHON) -m venv --clear build/wheelhouse
	build/wheelhouse/bin/python -m pip wheel --quiet --wheel-dir wheelhouse --constraint constraints.txt '.[$(EXTRAS)]'

# In environments of their own: the list is of what people install, not of what developers use.
sbom: ## list what an installation holds, as CycloneDX, in dist/sbom.cdx.json
	mkdir -p dist
	$(PYTHON) -m venv --clear build/sbom/dvcl
	build/sbom/dvcl/bin/python -m pip install --quiet --constraint constraints.txt '.[$(EXTRAS)]'
	$(PYTHON) -m venv --clear build/sbom/tool
	build/sbom/tool/bin/python -m pip install --quiet $(SBOM_TOOL)
	build/sbom/tool/bin/cyclonedx-py environment build/sbom/dvcl --pyproject pyproject.toml \
	  --output-reproducible --output-file dist/sbom.cdx.json

# Tests compare the file with its hash; look at a page (`dvcl show`) before committing another one.
niivue: ## fetch the script of the pages' viewer, its licences and its hash (needs npm and the network)
	set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	npm install --silent --ignore-scripts --omit=optional --prefix "$$folder" @niivue/niivue@$(NIIVUE); \
	cd "$$folder/node_modules"; \
	gzip -9 -n -c @niivue/niivue/dist/niivue.umd.js > $(CURDIR)/$(VIEWER)/niivue.umd.js.gz; \
	printf '{"package": "@niivue/niivue", "version": "%s", "sha256": "%s"}\n' $(NIIVUE) \
	  $$(sha256sum < @niivue/niivue/dist/niivue.umd.js | cut -d' ' -f1) > $(CURDIR)/$(VIEWER)/niivue.json; \
	find . -iname 'license*' | LC_ALL=C sort | while read -r file; do \
	  printf '== %s\n\n' "$$file"; cat "$$file"; echo; done > $(CURDIR)/$(VIEWER)/LICENSE-bundled.txt

clean: ## remove the environment and the caches
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "dvcl needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	  "Install one and name it: make test PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

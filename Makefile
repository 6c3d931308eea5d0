# Two commands set everything up on a bare machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The CPU build of torch where the platform's default would be gigabytes of CUDA:
# TORCH="torch --index-url https://download.pytorch.org/whl/cpu" make setup
TORCH ?= torch==2.13.0

# Each worker holds a model or two: about 1.5 GB.
WORKERS ?= 2
# Each has a core: threads of torch that wait for each other would take it from the others.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q
PARALLEL := $(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder

export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: setup demo test test-rest test-langchain test-llama-index test-fast test-lowest test-light coverage \
	check stores mteb ray docs bench notebooks transcripts release-check clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@echo "Installing into $(VENV): some minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python demo/run.py

# The long part and the short ones beside it, so that no core waits for the end of one of them. Each
# framework's own suite runs with the other framework absent.
test: $(STAMP)
	$(MAKE) --no-print-directory --jobs 2 test-rest check test-langchain test-llama-index

test-rest: $(STAMP)
	$(PARALLEL) -m "not slow" --ignore tests/langchain --ignore tests/llama_index

test-langchain: $(STAMP)
	$(PYTEST) -p tests.blocking --without llama_index tests/langchain

test-llama-index: $(STAMP)
	$(PYTEST) -p tests.blocking --without langchain_core tests/llama_index

# For the hour's work: half of the tests, in a minute on two quiet cores. The others take seconds each.
test-fast: $(STAMP)
	$(PARALLEL) -m "not slow and not thorough"

# Of this process's branches; the floor is in pyproject.toml.
coverage: $(STAMP)
	$(PARALLEL) -m "not slow" --cov

# The lowest versions that pyproject.toml allows, in an environment of their own. Only torch is the
# one above, because the lowest on PyPI is gigabytes of CUDA. To test its lowest too:
# make test-lowest TORCH="torch==2.6.0 --index-url https://download.pytorch.org/whl/cpu"
LOWEST := .venv-lowest
LOWEST_BIN := $(LOWEST)/bin

test-lowest: $(LOWEST)/.installed
	$(LOWEST_BIN)/python -m tests.version_bounds
	OMP_NUM_THREADS=1 $(LOWEST_BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile \
		--no-loadscope-reorder -m "not slow"

# torch comes first and without what it needs, so that uv chooses the versions of that.
$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST_BIN)/python -m pip install --quiet --upgrade "pip>=25.1" "uv>=0.9"
	$(LOWEST_BIN)/python -m pip install --quiet --no-deps $(TORCH)
	$(LOWEST_BIN)/python -m pip freeze | grep "^torch==" > $(LOWEST)/torch.txt
	$(LOWEST_BIN)/uv pip install --quiet --python $(LOWEST_BIN)/python \
		--resolution lowest-direct --override $(LOWEST)/torch.txt --editable ".[all]" --group test
	touch $(LOWEST)/.installed

# Another Python, in minutes: everything but torch, and the tests that need none.
# make test-light PYTHON=python3.13
LIGHT := .venv-light
LIGHT_BIN := $(LIGHT)/bin

test-light:
	$(PYTHON) -m venv --clear $(LIGHT)
	$(LIGHT_BIN)/python -m pip install --quiet --upgrade "pip>=25.1" "uv>=0.9"
	echo "torch; sys_platform == 'none'" > $(LIGHT)/no-torch.txt
	$(LIGHT_BIN)/uv pip install --quiet --python $(LIGHT_BIN)/python \
		--override $(LIGHT)/no-torch.txt --editable ".[all]" --group test
	$(LIGHT_BIN)/python -m pytest -q -p tests.without_torch --least 400 -m "not slow" \
		tests/agents tests/pages tests/types

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

# Tests with environments of their own, each of minutes and gigabytes: other people's vector stores,
# mteb, which runs the encoders, and Ray on this machine.
stores: TESTS := tests/stores
mteb: TESTS := tests/mteb
ray: TESTS := tests/ray_jobs

stores mteb ray: %: .venv-%/.installed
	.venv-$@/bin/pyright -p $(TESTS)
	.venv-$@/bin/python -m pytest -q $(TESTS)

.venv-%/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-$*/bin/python -m pip install --quiet $(TORCH)
	.venv-$*/bin/python -m pip install --quiet --editable ".[all]" --group $*
	touch $@

# The documentation as a site, in an environment of its own without torch: a warning is an error.
DOCS := .venv-docs
DOCS_BIN := $(DOCS)/bin

docs: $(DOCS)/.installed
	$(DOCS_BIN)/zensical build --strict --clean
	$(DOCS_BIN)/python docs/building/check_site.py

$(DOCS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS_BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(DOCS_BIN)/python -m pip install --quiet --group docs
	touch $(DOCS)/.installed

bench: $(STAMP)
	$(BIN)/python -m benchmarks.encode
	$(BIN)/python -m benchmarks.parity

# Run again and keep what they show now.
notebooks: $(STAMP)
	$(BIN)/python -m notebooks.run --write

transcripts: $(STAMP)
	$(BIN)/python -m tests.transcripts

# What is published, built into dist, checked, installed in a bare environment, and used there.
RELEASE := .venv-release

release-check: $(RELEASE)/.installed
	$(RELEASE)/bin/python -m release.check --torch "$(TORCH)"

$(RELEASE)/.installed: pyproject.toml
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(RELEASE)/bin/python -m pip install --quiet --group release
	touch $(RELEASE)/.installed

clean:
	rm -rf $(VENV) $(STORES) $(MTEB) $(RAY) $(DOCS) $(RELEASE) $(LOWEST) $(LIGHT) .demo dist build site

# SPDX-License-Identifier: Apache-2.0
# Needs make, a Python >= 3.10 with venv, and a package index. `make help` lists the targets.

VENV ?= .venv
PYTHON ?= python3
# three workers for two processors: some tests wait for processes, but each worker collects all tests, for ten seconds
WORKERS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) * 3 + 1) / 2 )))
# neighbours stay together as long as possible, since they share fixtures; an idle worker takes from the other's end
PYTEST_ARGS ?= -n $(WORKERS) --dist worksteal

# the tests with the marker `pure`; pytest would import all the others to find it
FAST_TESTS = $(shell grep -rl --include='test_*.py' '^pytestmark = pytest.mark.pure$$' tests)
# what a second Python is tried with, and the oldest Cloud Custodian: what speaks to c7n, c7n-org, c7n-mailer and boto3, and
# what reads texts and times, where versions of Python differ
SECOND_TESTS = $(foreach name,authorization_details composite_delete entry extras handler lambda_imports \
  lambda_packaging notify_owners notify_people policies run_outputs schemas startup stock_filters stock_messages \
  stock_plugins stores,$(wildcard $(foreach at,. execution local_org packaging plugins,tests/$(at)/test_$(name).py))) \
  tests/text tests/test_exemptions.py tests/test_persisted_formats.py \
  $(wildcard tests/execution/test_journal*.py tests/snapshots/test_*.py)
# with OLDEST=1: the oldest releases that setup.py claims
PINS = $(if $(OLDEST),$(shell grep -oE '"(c7n|c7n-org|c7n-mailer|boto3)>=[0-9.]+"' setup.py | tr -d '"' | sed 's/>=/==/'))

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SOURCES := aws_local_org benchmarks c7n_iamusers c7n_iamusers_cli deploy tests setup.py
POLICIES := $(wildcard policies/*.yml)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install test test-fast test-second coverage soak explore mutants check check-types check-code check-policies check-site format docs picture site demo lifecycle bench dist renew renew-tools clean

REFERENCES := attachment-kinds findings outcomes replacements resource-policies

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "  variables: VENV=$(VENV) PYTHON=$(PYTHON) PYTEST_ARGS='$(PYTEST_ARGS)'"

install: $(INSTALLED)  ## create the virtual environment and install everything into it, editable

# what is installed depends on these files, of which some are copied; all other code is used where it lies
$(INSTALLED): setup.py constraints.txt c7n_iamusers/__init__.py c7n_iamusers.pth c7n_iamusers.start $(wildcard c7n_iamusers/mailer_templates/*.j2)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "c7n_iamusers needs Python 3.10 or newer; $(PYTHON) is `command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo missing`." \
	    "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot create virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo 'this takes a minute or two: Cloud Custodian, boto3, moto and the tools of constraints.txt are installed'
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[cli,org,local,docs,dev]' $(PINS)
	@touch $@

test: $(INSTALLED)  ## run the tests; fewer, or otherwise: make test PYTEST_ARGS='-k exemptions'
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(COVERAGE)

test-fast: $(INSTALLED)  ## run the tests of what is pure: models, rules, decisions; half a minute
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m pure $(FAST_TESTS)

# e.g. make test-second VENV=.venv-3.10 PYTHON=python3.10 OLDEST=1
test-second: $(INSTALLED)  ## run what a second Python or an older Cloud Custodian may break; OLDEST=1: the oldest claimed
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(SECOND_TESTS)

coverage: $(INSTALLED)  ## run the tests, and fail where they reach less of the code than pyproject.toml asks for
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov --cov-report=term:skip-covered

# a number of pairs, and other seeds: make soak SOAK_PAIRS=200000 SOAK_SEED=1000
# the last line asks an evaluator of npm, or says that this machine has no node
soak: $(INSTALLED)  ## all cases of all tests, 100,000 random pairs of policies, forty times the examples of each property
	SOAK_PAIRS=$(or $(SOAK_PAIRS),100000) SOAK_SEED=$(or $(SOAK_SEED),0) $(BIN)/python -m pytest -n auto --dist load
	$(BIN)/python -m tests.policy_comparison.third_opinion --seed $(or $(SOAK_SEED),0)

# fewer, others, or of one room: make mutants MUTANTS='--sample 50 --seed 3 --room deletion'
mutants: $(INSTALLED)  ## change the code in one place at a time, and see whether a test fails; an hour, on Python 3.12 or newer
	$(BIN)/python -m tests.mutants $(MUTANTS)

# more: docs/reliability.md, e.g. make explore EXPLORE='--flow restore --seconds 300'
explore: $(INSTALLED)  ## try what can go wrong at each call of each flow, at most an hour, into docs/reliability.md
	PYTHONHASHSEED=0 $(BIN)/python -W ignore -m tests.explorer $(or $(EXPLORE),--mutants --page docs/reliability.md)

check:  ## format, lint, types, import directions, YAML, spelling, policies, the site: exactly what CI checks
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-types check-code check-policies check-site

check-types: $(INSTALLED)
	$(BIN)/mypy

check-code: $(INSTALLED)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/codespell
	$(BIN)/cfn-lint deploy/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml deploy/github/*.yml
	$(BIN)/hadolint --failure-threshold warning deploy/*Dockerfile
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_reference.py tests/test_reasons.py \
	  -k 'the_docs_are_those_of_the_code or no_code_reads_meaning'

check-policies: $(INSTALLED)
	$(BIN)/custodian validate $(POLICIES)
	$(BIN)/python -m tests.validate_policies $(POLICIES)

site: check-site  ## build the documentation as a site into build/site; open build/site/index.html

# not --quiet: mkdocs then counts no warnings, and --strict lets them pass. The variable silences an advertisement
check-site: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs: $(INSTALLED)  ## write the generated references below docs/; a test fails where they are out of date
	$(foreach name,$(REFERENCES),$(BIN)/python -m c7n_iamusers.generated_docs $(name) > docs/$(name).md &&) true
	$(BIN)/python -m tests.architecture_picture
	$(BIN)/python -m tests.comparison_table
	$(BIN)/python -m tests.cli_reference
	$(BIN)/python -m tests.module_index

# from the output's own directory, so that the page names no path of this machine; --no-sandbox: also as root
picture: demo  ## draw docs/report.png, the picture of a report, from the demo; needs chromium
	cd .demo && $(abspath $(BIN))/c7n-iamusers report -s output -c accounts.yml --output picture.html
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1200,860 \
	  --screenshot=docs/report.png file://$(CURDIR)/.demo/picture.html

format: $(INSTALLED)  ## format the code and repair what ruff can
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

demo: $(INSTALLED)  ## the whole job on a local AWS organization: announce, provision, quarantine, delete
	$(BIN)/c7n-iamusers demo

lifecycle: $(INSTALLED)  ## the same over 40 accounts with 20 users each, ten to twenty minutes
	$(BIN)/c7n-iamusers demo --accounts 40 --users-per-account 20

# e.g. make bench BENCH_ARGS=--quick, BENCH_ARGS=--load for the commands over many accounts, BENCH_ARGS=--keys for
# access keys alone, BENCH_ARGS=--usage for who calls with them, BENCH_ARGS=--first-run for first runs of provision
# alone, or BENCH_ARGS=--page for the page of a report
bench: $(INSTALLED)  ## measure against stock Cloud Custodian, about 20 minutes, into docs/benchmarks.md
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# the time of the last commit, so that the same commit gives the same wheel, byte for byte
dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1767225600)
dist: $(INSTALLED)  ## build the sdist, the wheel and its bill of materials (CycloneDX) into dist/
	rm -rf build dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python deploy/supply_chain.py sbom dist/*.whl

renew: $(INSTALLED)  ## renew deploy/requirements.txt, ask a vulnerability database, and read AWS's policies anew
	$(BIN)/python -m pip install --quiet uv pip-audit
	$(BIN)/python -m tests.policy_comparison.aws_managed
	$(BIN)/python deploy/supply_chain.py renew

# one version of each tool for each supported Python
renew-tools: $(INSTALLED)  ## renew constraints.txt, the versions of the tools for tests and checks
	$(BIN)/python -m pip install --quiet uv
	names=$$(sed 's/==.*//' constraints.txt | sort -u) && printf '%s\n' "$$names" | $(BIN)/uv pip compile - --universal \
	  --python-version 3.10 --no-deps --upgrade --no-header --no-annotate --quiet --output-file constraints.txt

clean:  ## remove the virtual environment and everything that was built
	rm -rf $(VENV) .venv-* build dist *.egg-info .coverage .coverage.* .demo .rehearsal .explorer .hypothesis .mutants .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

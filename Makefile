# `make help` lists the targets.
# The environment is made once, in .venv, and again only when pyproject.toml or constraints.txt change.

# The first of these that is new enough makes the environment; `make PYTHONS=/path/to/python demo` names another.
PYTHONS ?= python3.11 python3.12 python3.13 python3 python
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
# Tests of a file may share what its first one makes.
AT_ONCE := -n 2 --dist loadfile
DEMO_SAMPLE := $(BIN)/python sample.py --gpus 0
BUNDLED := $(wildcard sequnet_pl/pretrained/piano/weights.ckpt)

.DEFAULT_GOAL := help
.PHONY: help demo setup check test test-full help-text clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

# The bundled network, where there is one, is sampled before anything is trained.
demo: $(RUNTIME) ## train a small Seq-U-Net on the built-in recordings and sample it (minutes, no GPU)
	$(if $(BUNDLED),$(DEMO_SAMPLE) --pretrained piano --weights bf16 --batch_size 4 --seconds 4)
	$(BIN)/python train.py --config configs/demo.yaml --gpus 0
	$(BIN)/python train.py test --ckpt_path last --gpus 0
	$(DEMO_SAMPLE) --conditional 1 --batch_size 4
	$(DEMO_SAMPLE) --conditional 0 --batch_size 2
	@echo "Listen: $(CURDIR)/generated/index.html links the clips; a spectrogram is beside each wav file."

setup: $(DEV) ## make the environment for development

check: $(DEV) ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright

test: check ## check, then the tests that take seconds
	$(BIN)/python -m pytest $(AT_ONCE)

test-full: check ## check, then all tests
	$(BIN)/python -m pytest $(AT_ONCE) -m "slow or not slow"

help-text: $(DEV) ## write the help of train.py, after a change of its options
	COLUMNS=140 $(BIN)/python -c "from sequnet_pl.cli.train_options import help_text; print(help_text(), end='')" > sequnet_pl/cli/train_help.txt

clean: ## remove the environment and caches; recordings, runs and clips stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that works, made by hand or by an earlier version of this file, is kept.
$(MADE):
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    for python in $(PYTHONS); do \
	        if $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	            echo "making $(VENV) with $$python"; \
	            $$python -m venv --clear $(VENV) || exit 1; \
	            touch $@; exit; \
	        fi; \
	    done; \
	    echo "No Python 3.11 or newer that can make environments among: $(PYTHONS)." \
	        "Install one (on Debian with its -venv package) or name it: make PYTHONS=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	touch $@

$(RUNTIME): pyproject.toml constraints.txt | $(MADE)
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(MADE)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $(RUNTIME) $@

# Everything from a bare clone: `make demo`, `make test`. Needs Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A torch that this Python already imports (a GPU image's own build) is used as it is; otherwise the pinned one is installed.
HAS_TORCH := $(PYTHON) -c "import re, torch; assert tuple(map(int, re.findall(r'\d+', torch.__version__)[:2])) >= (2, 9)" 2>/dev/null

.DELETE_ON_ERROR:
.PHONY: demo test check docs bench recipes clean

demo: $(VENV)/installed
	$(BIN)/mulligan run tiny

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2

check: $(VENV)/installed-dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src/mulligan
	$(BIN)/lint-imports

docs: $(VENV)/installed-dev
	$(BIN)/python docs/generate_levers.py --check
	$(BIN)/python docs/generate_claims.py --check
	$(BIN)/python docs/generate_rules.py --check
	$(BIN)/python docs/generate_study_file.py --check
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench

recipes: $(VENV)/installed-dev
	$(BIN)/python -m bench.recipes

$(VENV)/installed: pyproject.toml constraints.txt
	if $(HAS_TORCH); then \
	    $(PYTHON) -m venv --clear --system-site-packages $(VENV) && grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt; \
	else \
	    $(PYTHON) -m venv --clear $(VENV) && cp constraints.txt $(VENV)/constraints.txt; \
	fi
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(VENV)/constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c $(VENV)/constraints.txt -e '.[dev,docs,fetch]'
	touch $@

clean:
	rm -rf $(VENV) docs/_build .mulligan .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Two commands: `make demo` and `make test`. Both build .venv from the pinned versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
# Threads that spin while they wait would take the cores from other processes.
RUN := OMP_WAIT_POLICY=passive PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
CORES ?= all

# what `make sky` shows: a run's configuration and its folder
CONFIGFILE ?= config/demo.yaml
RESULTS ?= results/demo
PORT ?= 8000

.PHONY: install install-test demo sky test test-cluster docs/reliability.md fidelity lint clean

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[simulate]'
	touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.installed

demo: install  ## simulate a small survey and run the whole workflow on it (6 to 9 minutes on 2 cores)
	$(RUN) snakemake --cores $(CORES) --configfile config/demo.yaml
	$(RUN) snakemake --cores 1 --configfile config/demo.yaml --report results/demo/report.html --quiet all
	@echo "report                results/demo/report.html"
	$(RUN) snakemake --cores $(CORES) --configfile config/demo.yaml -- sky
	@echo "sky, before and after make sky"

sky: install  ## the sky of a run as one picture, served on this machine alone until Ctrl-C
	$(RUN) snakemake --cores $(CORES) --configfile $(CONFIGFILE) -- sky
	@echo "open http://127.0.0.1:$(PORT)/ in a browser; Ctrl-C ends it"
	@$(RUN) python -m http.server --bind 127.0.0.1 --directory $(RESULTS)/sky $(PORT) 2>&1 | grep Error || true
	@echo "the server has ended; if port $(PORT) is taken, make sky PORT=8001"

test: install-test  ## the whole test suite
	$(RUN) pytest --numprocesses auto --maxprocesses 4 --dist loadscope

# Three at a time: each waits for Slurm and Snakemake more than it works.
test-cluster: install-test  ## the workflow on a real Slurm of this host alone (Debian, as root)
	$(RUN) tests/cluster/cluster.sh with pytest -m cluster --numprocesses 3 --dist load tests/cluster

.PHONY: docs
# The last line but one fails where a page would fetch something when it is read.
docs: install-test  ## these pages and the docstrings as a site; a warning is an error
	$(RUN) sphinx-build --quiet --fail-on-warning --conf-dir docs . build/docs
	@! grep -rE '<(script|img|link)[^>]* (src|href)="https?:' --include='*.html' build/docs
	@echo "documentation         build/docs/index.html"

config/README.md: src/skydenoise/config.schema.yaml config/tables.py | install  ## its tables, from the schema
	$(RUN) python config/tables.py

docs/reliability.md: install-test  ## its table: every fault of the campaign is made (always)
	$(RUN) python -m tests.faults.table

# BM3D and non-local means need '.[peers]' as well; without it their rows are left out.
fidelity: install-test  ## the figures of docs/fidelity.md
	$(RUN) python -m benchmarks.quality.depths
	$(RUN) python docs/pictures/depths.py
	$(RUN) python -m benchmarks.quality --quick --noise decam
	$(RUN) python -m benchmarks.quality --quick --noise bass
	$(RUN) python -m benchmarks.quality.bands

lint: install-test  ## style and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow experiments
	$(RUN) snakemake --lint
	$(RUN) mypy src

clean:  ## remove the environment and everything the demo made
	rm -rf $(VENV) results/demo

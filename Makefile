# Each target sets up .venv by itself; a second run starts at once.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := 1_stacked_birnn 2_skip_birnn
# Of a progress bar, only the last state is kept; of the box for one's own review, nothing.
NBCONVERT := $(BIN)/jupyter nbconvert --log-level ERROR --CoalesceStreamsPreprocessor.enabled=True \
	--TagRemovePreprocessor.enabled=True \
	--TagRemovePreprocessor.remove_single_output_tags=needs-kernel
# Jupyter refuses to run as root, the only user of many containers, without this option.
ALLOW_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: run full models study official test slow oldest fuzz lab bench notebooks
.DELETE_ON_ERROR:

# Without its settings, each kernel would warn that it talks to this machine over TCP.
.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@mkdir -p .venv/etc/ipython
	@echo '{"IPKernelApp": {"log_level": "CRITICAL"}}' > .venv/etc/ipython/ipython_kernel_config.json
	@touch $@

# Both notebooks, with PARAMETERS instead of the defaults. What cells print goes to the terminal:
# with papermill's `--log-output`, each state of a progress bar would be a line of its own there.
define execute
	@mkdir -p runs
	@for name in $(NOTEBOOKS); do \
		$(BIN)/papermill --no-progress-bar --stdout-file /dev/stdout --cwd notebooks \
			$(PARAMETERS) notebooks/$$name.ipynb runs/$$name.ipynb && \
		$(NBCONVERT) --to html runs/$$name.ipynb || exit 1; \
	done
endef

run: PARAMETERS = -p QUICK True
run: .venv/ready  ## a quick run of both notebooks: shorter texts, fewer epochs and seeds
	$(execute)
	@echo && echo "Executed notebooks, their HTML, quick models: runs/   The good models: models/"

full: .venv/ready  ## both notebooks at their default parameters
	$(execute)
	@echo && echo "Executed notebooks, their HTML, models of four fifths of the films: runs/"

models: .venv/ready  ## models/*.pt: all films teach, a twentieth of them chooses
	$(BIN)/python -m sentiment_report models models
	$(BIN)/python -m sentiment_helpers show models/RNN.pt models/RNNSkip.pt

study: .venv/ready  ## depths, poolings, and other seeds of the notebooks' networks; resumes
	$(BIN)/python -m sentiment_report study models/study.json
	$(BIN)/python -m sentiment_report seeds models/seeds.json

official: .venv/ready  ## models/*.pt on aclImdb's test half, which is fetched unless it is in data/
	$(BIN)/python -m sentiment_report official models/official.json

PYTEST := $(BIN)/python -m pytest
# A file's tests share trained models, so they stay in one process; the files keep their order.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --durations=5

test: .venv/ready  ## lint and all tests but the slow ones
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(PYTEST) $(PARALLEL) -m "not slow" --cov=sentiment_helpers --cov=sentiment_report \
		--cov-fail-under=95

slow: .venv/ready  ## the slow tests: killed processes, memory, clusters, the notebooks in Colab
	$(PYTEST) $(PARALLEL) -m slow

# Every `name>=version` in pyproject.toml is installed as `name==version`. The files left out need
# other tools: papermill, gensim.
OLDEST := .venv-oldest/bin/python
LEFT_OUT := $(foreach name,benchmarks notebooks,--ignore tests/test_$(name).py)

.venv-oldest/ready: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	@grep -oE '"[a-z0-9-]+(\[[a-z]+\])?>=[0-9.]+"' pyproject.toml | \
		sed -E 's/"|\[.*\]//g; s/>=/==/' > .venv-oldest/lowest.txt
	$(OLDEST) -m pip install --quiet --constraint .venv-oldest/lowest.txt --editable '.[cluster]' \
		pytest pytest-xdist hypothesis nbformat
	@touch $@

oldest: .venv-oldest/ready  ## the tests of the package, in the oldest versions that it allows
	$(OLDEST) -m pytest $(PARALLEL) -m "not slow" $(LEFT_OUT)

fuzz: .venv/ready  ## thousands of broken files and killed processes: benchmarks/RELIABILITY.md
	$(PYTEST) -m fuzz --hypothesis-profile=fuzz --durations=0

lab: .venv/ready  ## open the notebooks in JupyterLab, in the project so that links to runs/ open
	$(BIN)/jupyter lab --ServerApp.root_dir=. notebooks/1_stacked_birnn.ipynb $(ALLOW_ROOT)

bench: .venv/ready  ## speed against usual methods: benchmarks/RESULTS.md; one stage: STAGE=vectors
	$(BIN)/python -m benchmarks $(STAGE)

# Of the metadata, only the cells' tags and the kernel's name stay.
define CLEAR
import sys, nbformat
for path in sys.argv[1:]:
    notebook = nbformat.read(path, 4)
    for part, kept in [(notebook, "kernelspec"), *((cell, "tags") for cell in notebook.cells)]:
        part.metadata = {kept: part.metadata[kept]} if part.metadata.get(kept) else {}
    nbformat.write(notebook, path)
endef
export CLEAR

notebooks: full  ## a run at the default parameters: its outputs to notebooks/, pictures to models/
	cp $$(ls -td runs/*/ | grep -E '/[0-9]+/$$' | head -2 | sed 's|$$|*.png|') models/
	$(NBCONVERT) --to notebook --output-dir notebooks $(NOTEBOOKS:%=runs/%.ipynb)
	$(BIN)/python -c "$$CLEAR" $(NOTEBOOKS:%=notebooks/%.ipynb)

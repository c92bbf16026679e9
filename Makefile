# GNU make. Every target that needs it first makes the virtual environment from the lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV := .venv
# Libraries that bench-automl compares with; each wants versions of its own, so it has an environment of its own.
AUTOML := flaml autogluon
# libraries that benchmarks need and the pipeline does not, each in an environment of its own
APART := $(AUTOML) polars
PYTEST_ARGS ?=
UPGRADE ?=
DOCS_ARGS ?=
DELIVER_ARGS ?=
AUTOML_ARGS ?=
LEAKAGE_ARGS ?=
MODELLING_ARGS ?=
SCALE_ARGS ?=

export DVC_NO_ANALYTICS := 1

# In the environment itself, as `bentoml` asks before it reads any file of the project.
define NO_TELEMETRY
import os; os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True"); os.environ.setdefault("DVC_NO_ANALYTICS", "1"); os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
endef
export NO_TELEMETRY

# The locks are for one version of Python. This is checked before anything is made or installed.
VERSION := 3.11
define NEEDS_PYTHON
found="$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
	|| { echo "PYTHON=$(PYTHON): cannot be run; try: make PYTHON=/path/to/python$(VERSION)" >&2; exit 1; }; \
	[ "$$found" = $(VERSION) ] \
	|| { echo "PYTHON=$(PYTHON): is Python $$found, the locks are for $(VERSION); try: make PYTHON=/path/to/python$(VERSION)" >&2; exit 1; }
endef

# Not exported for all recipes: making the environment needs the PYTHON from outside of it.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
PIP_INSTALL := bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
UV_INSTALL := uv/bin/uv pip install --quiet --compile-bytecode --require-hashes --no-deps
COMPILE := $(IN_VENV) uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)

# $(call INSTALL,environment,lock). uv needs less than half of pip's time, but does not read pip's settings: where pip has
# an index or a proxy of its own, or uv fails, pip installs. uv itself is installed first, by its hashes in the lock of the
# development tools, into a folder of its own, so that the environment has the packages of its lock and no more.
define INSTALL
if [[ "$$($(1)/bin/python -m pip config list)" =~ [.](index-url|no-index|proxy)= ]]; then \
	$(1)/$(PIP_INSTALL) -r $(2); \
elif ! { $(1)/$(PIP_INSTALL) --upgrade --target $(1)/uv -r <(sed -n '/^uv==/,/^    #/p' requirements-dev.txt) \
	&& $(1)/$(UV_INSTALL) --python $(1)/bin/python -r $(2); }; then \
	echo "uv failed to install $(2): installing it with pip"; \
	$(1)/$(PIP_INSTALL) -r $(2); \
fi
endef

.PHONY: help venv dask run monday test pull push metrics-diff record sweep track-replay lint hooks format lock bench bench-serving bench-automl bench-learning-curve bench-leakage bench-modelling bench-other-companies bench-scale soak docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-21s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

venv: $(VENV)/run.stamp ## make the environment, .venv, and no more

dask: $(VENV)/dask.stamp ## add to .venv what engine.type: dask needs

run: $(VENV)/run.stamp ## run the pipeline: the model, its evaluation and the list of prospects to call
	@$(IN_VENV) python -m commands.check_params
	@$(IN_VENV) dvc repro
	@echo && cat metrics/summary.txt
	@echo && $(IN_VENV) python -m commands.first_leads

# A command that brings the week's export to data.dir, such as FETCH="aws s3 sync s3://our-crm/export data/export".
FETCH ?=

monday: $(VENV)/run.stamp ## the week's list: run the pipeline, deliver by the gate, report, and keep the ledger with DVC; DELIVER_ARGS="--dry-run"
	@$(FETCH)
	@$(IN_VENV) python -m commands.check_params
	@$(IN_VENV) dvc repro
	@$(IN_VENV) python -m commands.deliver $(DELIVER_ARGS)
	@$(IN_VENV) python -m commands.scorecard
	@if [ -d ledger ]; then $(IN_VENV) dvc add --quiet ledger; fi
	@if [ -n "$$($(IN_VENV) dvc config core.remote)" ]; then $(IN_VENV) dvc push --quiet ledger.dvc; fi

test: $(VENV)/dev.stamp ## run the tests; PYTEST_ARGS="-k params", --cov, --html=report.html
	@$(IN_VENV) pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# What the jobs of .github/workflows and deploy/systemd run. Without a remote there is nothing to fetch or to send.
HAS_REMOTE = $(IN_VENV) dvc remote list | grep -q . || { echo "no DVC remote is set: nothing to $@; dvc remote add -d NAME URL"; exit 0; }
BASE ?= HEAD
GIT_PUSH ?=
RECORDED := dvc.lock ledger.dvc metrics plots models/model_card.md

pull: $(VENV)/run.stamp ## fetch data and ledger from DVC's remote, where one is set
	@$(HAS_REMOTE); $(IN_VENV) dvc pull --allow-missing

push: $(VENV)/run.stamp ## send data and ledger to DVC's remote, where one is set
	@$(HAS_REMOTE); $(IN_VENV) dvc push

metrics-diff: $(VENV)/run.stamp ## what changed in the metrics, as Markdown; BASE=origin/main
	@echo "### Metrics against $(BASE)" && echo
	@$(IN_VENV) dvc metrics diff --md $(BASE)

record: $(VENV)/run.stamp ## commit what a Monday changed: dvc.lock, ledger.dvc, metrics, plots; GIT_PUSH=yes pushes
	@git add --all -- $(wildcard $(RECORDED))
	@git diff --cached --quiet -- $(wildcard $(RECORDED)) && echo "nothing changed since the last commit" \
		|| git commit --quiet --message "Record the Monday's run" -- $(wildcard $(RECORDED))
	@[ "$(GIT_PUSH)" != yes ] || git push

# The grid of `make sweep`: for each family the values to try. DVC queues an experiment for each combination.
FAMILIES ?= logistic_regression random_forest xgboost ensemble
GRID_logistic_regression ?= model.logistic_regression.C=0.003,0.01,0.03
GRID_random_forest ?= model.random_forest.max_depth=6,9 model.random_forest.min_samples_leaf=10,20
GRID_xgboost ?= model.xgboost.max_depth=2,3,4 model.xgboost.learning_rate=0.03,0.06
JOBS ?= 2
SHOWN := Experiment|average_precision|roc_auc|recall_at_50|log_loss_ratio|model[.]type
SHOWN := $(subst $() ,|,$(SHOWN) $(foreach family,$(FAMILIES),$(foreach values,$(GRID_$(family)),$(firstword $(subst =, ,$(values))))))

sweep: $(VENV)/run.stamp ## try a grid of hyperparameters; FAMILIES=xgboost GRID_xgboost="model.xgboost.max_depth=2,3" JOBS=2
	@$(IN_VENV) dvc repro --quiet
	@$(foreach family,$(FAMILIES),$(IN_VENV) dvc exp run --queue -S model.type=$(family) $(GRID_$(family):%=-S '%');)
	@$(IN_VENV) dvc exp run --run-all --jobs $(JOBS)
	@$(IN_VENV) dvc exp show --md --sort-by average_precision --sort-order desc --hide-failed --drop '.*' --keep '^($(SHOWN))$$'

track-replay: $(VENV)/run.stamp ## log to MLflow the runs that wait because the tracking server was down
	@$(IN_VENV) python -m commands.track_replay

lint: $(VENV)/dev.stamp ## run the checks of .pre-commit-config.yaml on all files
	@$(IN_VENV) pre-commit run --all-files --show-diff-on-failure

hooks: $(VENV)/dev.stamp ## have git run the same checks on what is committed
	@$(IN_VENV) pre-commit install

format: $(VENV)/dev.stamp ## fix style and format where ruff can
	@$(IN_VENV) ruff check --fix .
	@$(IN_VENV) ruff format .

lock: $(VENV)/dev.stamp ## compile the locks from requirements*.in; make lock UPGRADE=--upgrade moves what may move
	@$(COMPILE) --output-file requirements.txt requirements.in
	@$(COMPILE) --output-file requirements-serve.txt --constraint requirements.txt requirements-serve.in
	@$(COMPILE) --output-file requirements-dask.txt requirements-dask.in
	@$(COMPILE) --output-file requirements-dev.txt requirements-dev.in
	@for library in $(APART); do \
		$(COMPILE) --output-file benchmarks/requirements-$$library.txt benchmarks/requirements-$$library.in; \
	done

bench: $(VENV)/run.stamp ## time, import time and peak memory of each stage
	@$(IN_VENV) python -m benchmarks.pipeline

bench-serving: $(VENV)/dev.stamp ## latency and throughput of the service, beside a no-op and the original's way
	@$(IN_VENV) python -m benchmarks.serving

bench-automl: $(VENV)/run.stamp $(AUTOML:%=$(VENV)-%/run.stamp) ## the model beside FLAML and AutoGluon, e.g. AUTOML_ARGS="--refits 2 --seconds 10"
	@$(IN_VENV) python -m benchmarks.automl $(AUTOML_ARGS)

bench-learning-curve: $(VENV)/run.stamp ## how much history a model needs: its share of the oracle by converters in training
	@$(IN_VENV) dvc repro --quiet
	@$(IN_VENV) python -m benchmarks.learning_curve --out docs/explanation/learning_curve.md

bench-leakage: $(VENV)/run.stamp ## what the usual recipe claims on a random split, and keeps; LEAKAGE_ARGS="--data-dir FOLDER" adds your export
	@$(IN_VENV) dvc repro --quiet
	@$(IN_VENV) python -m benchmarks.leakage $(LEAKAGE_ARGS)

bench-modelling: $(VENV)/run.stamp ## measure the tables of the choice of model; MODELLING_ARGS="--data-dir FOLDER" adds your export
	@$(IN_VENV) dvc repro --quiet
	@$(IN_VENV) python -m benchmarks.modelling $(MODELLING_ARGS)

bench-other-companies: $(VENV)/run.stamp ## the project on five invented kinds of companies whose truth is known, e.g. OTHER_ARGS="--of small --seeds 3"
	@$(IN_VENV) python -m benchmarks.other_companies $(OTHER_ARGS)

bench-scale: $(VENV)/run.stamp $(VENV)-polars/run.stamp ## what each stage costs by the size of the export, e.g. SCALE_ARGS="--sizes 0.1 1"
	@$(IN_VENV) python -m benchmarks.scale --features ours pandas duckdb polars everything $(SCALE_ARGS)

soak: $(VENV)/run.stamp ## ten minutes of 32 clients, one request in ten bad: no 5xx, no growing memory
	@$(IN_VENV) python -m benchmarks.soak

docs: $(VENV)/dev.stamp ## build the documentation, docs/build/html; DOCS_ARGS=--commands runs its commands again
	@$(IN_VENV) dvc repro
	@$(IN_VENV) python -m tools.docs.generate $(DOCS_ARGS)
	@rm -rf tools/docs/python_api # pages of modules that are gone would stay
	@$(IN_VENV) sphinx-build --conf-dir tools/docs --builder html --fail-on-warning --keep-going --quiet . docs/build/html
	@echo "docs/build/html/index.html"

clean: ## remove the virtual environments and the tools' caches; what the stages wrote stays
	@rm -rf $(VENV) $(APART:%=$(VENV)-%) .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov report.html \
		assets docs/build tools/docs/python_api
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A changed lock starts from an empty environment, so that nothing stays that the lock no longer has.
$(VENV)/run.stamp: requirements.txt
	@$(NEEDS_PYTHON)
	@echo "making $(VENV) from requirements.txt"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(call INSTALL,$(VENV),requirements.txt)
	@echo "$$NO_TELEMETRY" > $(VENV)/lib/python$(VERSION)/site-packages/no_telemetry.pth
	@touch $@

$(VENV)/dask.stamp: requirements-dask.txt $(VENV)/run.stamp
	@echo "adding requirements-dask.txt to $(VENV)"
	@$(call INSTALL,$(VENV),requirements-dask.txt)
	@touch $@

# With Dask, so that the tests of that engine run.
$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/dask.stamp
	@echo "adding requirements-dev.txt to $(VENV)"
	@$(call INSTALL,$(VENV),requirements-dev.txt)
	@touch $@

$(VENV)-%/run.stamp: benchmarks/requirements-%.txt
	@$(NEEDS_PYTHON)
	@echo "making $(VENV)-$* from $<"
	@$(PYTHON) -m venv --clear $(VENV)-$*
	@$(call INSTALL,$(VENV)-$*,$<)
	@touch $@

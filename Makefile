# Hearth: `make help` lists the targets. Paths are relative, so a folder with spaces in its name works.

PYTHON ?= python3
ENVS := .venvs
UV := $(ENVS)/uv/bin/uv
REQUIREMENTS := dockerfiles/airflow/requirements.txt dockerfiles/mlflow/requirements.txt dockerfiles/serve/requirements.txt
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev lock lint types test

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(UV): requirements/uv.txt
	$(PYTHON) -m venv $(ENVS)/uv
	$(ENVS)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

lock: $(UV) ## compile the requirement files again, from pyproject.toml
	$(COMPILE) pyproject.toml --extra airflow -o dockerfiles/airflow/requirements.txt
	$(COMPILE) pyproject.toml --extra mlflow -o dockerfiles/mlflow/requirements.txt
	$(COMPILE) pyproject.toml --extra api --extra stream --extra utils -o dockerfiles/serve/requirements.txt
	$(COMPILE) pyproject.toml --extra airflow --group dev -c dockerfiles/airflow/requirements.txt -o requirements/airflow-dev.txt
	$(COMPILE) pyproject.toml --extra api --extra stream --extra utils --group dev -c dockerfiles/serve/requirements.txt -o requirements/serve-dev.txt
	$(COMPILE) --group embedded -o requirements/embedded.txt
	$(COMPILE) requirements/uv.in -o requirements/uv.txt

# Each environment is installed anew when its requirement file changes; the stamp remembers which file it holds.
$(ENVS)/%/.installed: dockerfiles/%/requirements.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(ENVS)/$*
	$(UV) pip install --quiet --python $(ENVS)/$* --require-hashes -r $<
	$(if $(filter airflow serve,$*),$(UV) pip install --quiet --python $(ENVS)/$* --no-deps -e .)
	@touch $@

$(ENVS)/embedded/.installed: requirements/embedded.txt | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(ENVS)/embedded
	$(UV) pip install --quiet --python $(ENVS)/embedded --require-hashes -r $<
	@touch $@

$(ENVS)/%/.installed-dev: requirements/%-dev.txt $(ENVS)/%/.installed
	$(UV) pip install --quiet --python $(ENVS)/$* --require-hashes -r $<
	@touch $@

setup: $(ENVS)/airflow/.installed $(ENVS)/mlflow/.installed $(ENVS)/serve/.installed $(ENVS)/embedded/.installed ## create the environments that the stack runs in

setup-dev: setup $(ENVS)/airflow/.installed-dev $(ENVS)/serve/.installed-dev ## the same, with what lint, types and test need

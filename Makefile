# Hearth: `make help` lists the targets. Paths are relative, so a folder with spaces in its name works.

PYTHON ?= python3
ENVS := .venvs
UV := $(ENVS)/uv/bin/uv
COMPILE = $(UV) pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
# uv knows the certificates of browsers; behind a proxy that inspects connections, those of the system count, as pip has them. Off: UV_SYSTEM_CERTS=false
export UV_SYSTEM_CERTS ?= true
# Without compiled files each process compiles all that it imports: 5 s of processor time for a service, at every start.
unexport PYTHONDONTWRITEBYTECODE
SERVE_EXTRAS = --extra api --extra grpc --extra scoring --extra stream --extra tracing --extra ui --extra utils

.DEFAULT_GOAL := help
.PHONY: help check setup setup-dev lock lint types test test-unit test-training test-servers test-dags demo data upload smoke export replay tune eda chaos up down status logs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(UV): requirements/uv.txt
	@$(PYTHON) utils/check_machine.py
	$(PYTHON) -m venv $(ENVS)/uv
	$(ENVS)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

lock: $(UV) ## compile the requirement files again, from pyproject.toml; with the newest versions that it allows: make lock UPGRADE=1
	$(COMPILE) pyproject.toml --extra airflow -o dockerfiles/airflow/requirements.txt
	$(COMPILE) pyproject.toml --extra mlflow -o dockerfiles/mlflow/requirements.txt
	$(COMPILE) pyproject.toml $(SERVE_EXTRAS) -o dockerfiles/serve/requirements.txt
	$(COMPILE) pyproject.toml --extra airflow --group dev --group notebook -c dockerfiles/airflow/requirements.txt -o requirements/airflow-dev.txt
	$(COMPILE) pyproject.toml $(SERVE_EXTRAS) --group dev --group interfaces --group proto --group containers --group monitoring --group supply -c dockerfiles/serve/requirements.txt -o requirements/serve-dev.txt
	$(COMPILE) --group embedded -c dockerfiles/serve/requirements.txt -o requirements/embedded.txt
	for group in clients docs audit; do $(COMPILE) --group $$group -o requirements/$$group.txt || exit 1; done
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	for peer in $(BENCH_PEERS) etl; do $(COMPILE) benchmarks/peers/requirements/$$peer.in -o benchmarks/peers/requirements/$$peer.txt || exit 1; done

# Each environment is installed anew when its requirement file changes; the stamp remembers which file it holds.
$(ENVS)/%/.installed: dockerfiles/%/requirements.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(ENVS)/$*
	$(UV) pip install --quiet --python $(ENVS)/$* --require-hashes -r $<
	$(if $(filter airflow serve,$*),$(UV) pip install --quiet --python $(ENVS)/$* --no-deps -e .)
	@touch $@

$(ENVS)/embedded/.installed $(ENVS)/clients/.installed $(ENVS)/docs/.installed: $(ENVS)/%/.installed: requirements/%.txt | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(ENVS)/$*
	$(UV) pip install --quiet --python $(ENVS)/$* --require-hashes -r $<
	@touch $@

$(ENVS)/%/.installed-dev: requirements/%-dev.txt $(ENVS)/%/.installed
	$(UV) pip install --quiet --python $(ENVS)/$* --require-hashes -r $<
	@touch $@

setup: $(ENVS)/airflow/.installed $(ENVS)/mlflow/.installed $(ENVS)/serve/.installed $(ENVS)/embedded/.installed ## create the environments that the stack runs in

setup-dev: setup $(ENVS)/airflow/.installed-dev $(ENVS)/serve/.installed-dev ## the same, with what lint, types and test need

.PHONY: docs hooks
docs: $(ENVS)/docs/.installed ## build the site of docs/ in .hearth/site; a broken link fails
	$(ENVS)/docs/bin/mkdocs build --quiet --strict
	@echo "The site is in .hearth/site. To read it while you write: $(ENVS)/docs/bin/mkdocs serve"

hooks: setup-dev ## run the checks of `make lint` at every commit
	$(SERVE)/pre-commit install

.PHONY: proto
proto: setup-dev ## generate the code of the gRPC interfaces again, from grpc_service/*/*.proto
	$(ENVS)/serve/bin/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. grpc_service/*/*.proto

# Checks. Each part of the code is checked, and each part of the tests run, in the environment that it belongs to.
SERVE := $(ENVS)/serve/bin
AIRFLOW := $(ENVS)/airflow/bin
PYTEST_FLAGS ?= -q
# The tests run in several processes: `make test PYTEST_WORKERS=0` runs them in one.
PYTEST_WORKERS ?= auto
PYTEST = python -m pytest $(PYTEST_FLAGS) -n $(PYTEST_WORKERS)

lint: setup-dev lint-compose lint-supply ## ruff, and who may import whom
	$(SERVE)/ruff check .
	$(SERVE)/ruff format --check .
	$(SERVE)/lint-imports

# The supply chain: docs/security.md
.PHONY: lint-supply licences sbom wheel pin-images
lint-supply: setup-dev # offline, like all of lint
	$(SERVE)/zizmor --offline --quiet .github
	$(SERVE)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(SERVE)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(SERVE)/python -m deploy.supply.licences

licences: setup-dev $(ENVS)/clients/.installed $(ENVS)/docs/.installed ## list the licences of all packages, and refuse those that nobody has allowed
	$(SERVE)/python -m deploy.supply.licences --list

sbom: setup-dev $(ENVS)/clients/.installed $(ENVS)/docs/.installed ## write a CycloneDX bill of materials of each environment to .hearth/sbom
	$(SERVE)/python -m deploy.supply.sbom

wheel: $(UV) ## build the wheel in dist/; the same commit gives the same bytes
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(UV) build --quiet --wheel --out-dir dist .

pin-images: ## pin the images of .env by their digests, in requirements/images.env; needs Docker
	$(PYTHON) -m deploy.supply.images

types: setup-dev ## mypy --strict, in both environments
	$(SERVE)/mypy --exclude "deploy/compose|benchmarks/peers/(bentoml|litserve|etl)" src/hearth fastapi/hearth_api grpc_service streamlit_app utils deploy benchmarks tests/unit tests/api tests/grpc tests/integration tests/browser
	$(AIRFLOW)/mypy src/hearth/data src/hearth/modelling src/hearth/training src/hearth/jobs airflow/dags deploy/compose tests/training tests/dags tests/e2e

test: test-unit test-training test-servers test-dags ## all tests; starts the real servers that they need

test-unit: setup-dev ## the fast ones: no server is started
	$(SERVE)/$(PYTEST) tests/unit tests/api tests/grpc

test-training: setup-dev ## ETL, training, registry, object store
	$(AIRFLOW)/$(PYTEST) tests/training

test-servers: setup-dev $(ENVS)/clients/.installed ## services as processes, stream, predictions store, embedded stack, the page in a browser
	$(SERVE)/$(PYTEST) tests/integration tests/browser

test-dags: setup-dev ## the DAGs, end to end
	$(AIRFLOW)/$(PYTEST) tests/dags tests/e2e

# The main job: targets of the command `hearth`, which has more (./hearth --help)
HEARTH = ./hearth
flag = $(if $($(2)),--$(1) '$($(2))')
RUN = $(ENVS)/embedded/bin/python -m deploy.embedded.run $(ENVS)/serve/bin/python

# A wrong DATASET is refused before anything is installed.
comma := ,
DATA_FOLDER = $(or $(HEARTH_DATA_DIR),$(lastword $(shell sed -n 's/^HEARTH_DATA_DIR=//p' .env $(wildcard .env.local))))
KNOWN = $(patsubst $(DATA_FOLDER)/%/contract.yaml,%,$(wildcard $(DATA_FOLDER)/*/contract.yaml))
UNKNOWN = $(filter-out all $(KNOWN),$(subst $(comma), ,$(DATASET)))
.PHONY: known-dataset
known-dataset:
	@$(if $(UNKNOWN),echo 'There is no data set $(firstword $(UNKNOWN)) in $(DATA_FOLDER)/; there are: $(KNOWN).' >&2; exit 2)

demo: known-dataset setup ## from raw file to live predictions on this machine: make demo [DATASET=employees,heart|all] [TRIALS=3] [ROWS=5000]
	@$(HEARTH) demo $(call flag,dataset,DATASET) $(call flag,trials,TRIALS) $(call flag,rows,ROWS)

demo-drift: known-dataset setup ## on a running stack: records drift, and the loop closes by itself: make demo-drift [DATASET=heart]
	@$(HEARTH) demo-drift $(call flag,dataset,DATASET)

data: known-dataset setup ## write the fake data set to .hearth/data: make data [DATASET=heart] [ROWS=15000] [SEED=42]
	@$(HEARTH) data make $(call flag,dataset,DATASET) $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED))

upload: known-dataset setup ## put the raw data into the bucket of a running stack: make upload [DATASET=all] [ROWS=5000]
	@$(HEARTH) data upload $(call flag,dataset,DATASET) $(call flag,rows,ROWS)

smoke: known-dataset setup ## use a running stack as a user would, and say whether it works: make smoke [DATASET=all] [TRIALS=3]
	@$(HEARTH) smoke $(call flag,dataset,DATASET) $(call flag,trials,TRIALS)

export: setup ## write the stored predictions to a file: make export [FORMAT=parquet] [SINCE=2026-11-21] [UNTIL=…] [DATASET=employees] [OUTPUT=…]
	@$(HEARTH) export $(call flag,format,FORMAT) $(call flag,output,OUTPUT) $(call flag,since,SINCE) $(call flag,until,UNTIL) $(call flag,dataset,DATASET)

replay: setup ## list the dead letters, or put chosen ones back: make replay [ID=…] [ERROR=unknown_alias] [DATASET=…] [SINCE=…] [ALL=1] [SET=alias=knn] [DRY_RUN=1]
	@$(HEARTH) replay $(call flag,id,ID) $(call flag,error,ERROR) $(call flag,dataset,DATASET) $(call flag,since,SINCE) $(call flag,until,UNTIL) $(call flag,set,SET) $(if $(ALL),--all) $(if $(DRY_RUN),--dry-run)

tune: setup ## search the parameters of a family: make tune DATASET=heart FAMILY=random_forest [TRIALS=50] [JOBS=2]
	@$(HEARTH) tune $(DATASET) $(call flag,family,FAMILY) $(call flag,trials,TRIALS) $(call flag,jobs,JOBS)

eda: $(ENVS)/airflow/.installed-dev ## run EDA.ipynb from top to bottom: make eda [ROWS=3000]; with the real file, or ROWS, it goes to .hearth/
	@$(if $(ROWS),HEARTH_EDA_ROWS=$(ROWS)) $(AIRFLOW)/python -m utils.eda

chaos: setup ## kill workers and servers while 100,000 records go through the stream, and count: make chaos [SEED=1] [RECORDS=100000] [KILLS=20]
	@$(SERVE)/python -m benchmarks.chaos $(call flag,seed,SEED) $(call flag,records,RECORDS) $(call flag,kills,KILLS)

.PHONY: chaos-serving drill-alerts
chaos-serving: setup ## break each server of REST and gRPC under load, and check what docs/faults.md promises: make chaos-serving [CHAOS_FLAGS="--only PostgreSQL"]
	@$(SERVE)/python -m benchmarks.chaos.serving $(CHAOS_FLAGS)

drill-alerts: setup-dev ## break what alerts are for, and see each fire and end; needs root for small disks: make drill-alerts [DRILL_FLAGS="--only Disk"]
	@$(SERVE)/python -m benchmarks.alert_drill $(DRILL_FLAGS)

# Backups: docs/backup.md. A restore needs the servers, and the tables that MLflow and Airflow make when they start; nothing else may run.
.PHONY: backup restore drill-backup
backup: setup ## back up the running stack: make backup [TO=folder|s3://bucket/prefix] [KEEP=7]
	@$(HEARTH) backup $(call flag,to,TO) $(call flag,keep,KEEP)

restore: setup ## fill an empty stack with a backup, and start it: make restore [FROM=folder|s3://bucket/prefix] [ID=…] [FORCE=1]
	@$(if $(FORCE),$(HEARTH) down)
	@$(HEARTH) up postgres valkey minio mlflow airflow-apiserver
	@$(HEARTH) restore $(if $(ID),'$(ID)') $(call flag,from,FROM) $(if $(FORCE),--force)
	@$(HEARTH) up

.PHONY: housekeeping
housekeeping: setup ## say what nothing refers to in MLflow and the object store; remove it: make housekeeping APPLY=1
	@$(HEARTH) housekeeping $(if $(APPLY),--apply)

drill-backup: setup-dev ## lose a whole stack and get it back: on ports of its own, with three data sets; takes ten minutes
	@$(RUN) -m benchmarks.backup_drill $(DRILL_FLAGS)

# Benchmarks: each prints its table; docs/performance.md keeps them. The peers have environments of their own.
BENCH_PEERS := mlflow mlserver bentoml litserve
.PHONY: bench-gate bench-bounds bench-serving bench-grpc bench-scorers bench-soak bench-stream bench-bombs bench-etl bench-search bench-training bench-batch bench-calibration bench-unusual bench-data-check bench-sensitive bench-drift bench-labels bench-retrain bench-explain bench-groups bench-slices bench-latency-bound

$(ENVS)/bench-%/.installed: benchmarks/peers/requirements/%.txt | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(ENVS)/bench-$*
	$(UV) pip install --quiet --python $(ENVS)/bench-$* --require-hashes -r $<
	@touch $@

.PHONY: bench-machine
bench-machine: # before an environment is installed: a machine without wrk says so at once
	@$(PYTHON) utils/check_machine.py --benchmarks

bench-serving: bench-machine setup-dev $(BENCH_PEERS:%=$(ENVS)/bench-%/.installed) ## compare REST with ready-made model servers; needs wrk
	$(SERVE)/python -m benchmarks.serving $(BENCH_FLAGS)

bench-grpc: setup-dev ## compare gRPC with an empty servicer of the same interface, maps with packed columns
	$(SERVE)/python -m benchmarks.grpc_server $(BENCH_FLAGS)

bench-scorers: setup-dev ## compare the compiled scorers with scikit-learn's pipelines, in process
	$(SERVE)/python -m benchmarks.scorers $(BENCH_FLAGS)

.PHONY: bench-datasets
bench-datasets: setup-dev ## start, lists and polls with 1 to 200 data sets: make bench-datasets [BENCH_FLAGS="--counts 3 --rounds 1"]
	$(SERVE)/python -m benchmarks.data_sets $(BENCH_FLAGS)

bench-search: setup-dev ## what more workers gain a search of trials that sleep: make bench-search [BENCH_FLAGS="--seconds 10 --rounds 4"]
	$(AIRFLOW)/python -m benchmarks.search $(BENCH_FLAGS)

bench-explain: setup-dev ## time of explanations, and their error against all coalitions of columns; takes a quarter of an hour
	$(SERVE)/python -m benchmarks.explanations $(BENCH_FLAGS)

bench-gate: setup-dev ## how often the gate errs, by simulation
	$(SERVE)/python -m benchmarks.gate_rule $(BENCH_FLAGS)

bench-bounds: setup-dev ## what the bounds of the gate say: make bench-bounds [BENCH_FLAGS="--dataset heart --file data/heart/heart.csv"]
	$(SERVE)/python -m benchmarks.gate_bounds $(BENCH_FLAGS)

bench-etl: setup-dev $(ENVS)/bench-etl/.installed ## compare the ETL with plain pandas, polars and DuckDB: make bench-etl [BENCH_FLAGS="--rows 1000000"]
	$(SERVE)/python -m benchmarks.etl $(BENCH_FLAGS)

bench-training: setup-dev ## LightGBM on many rows from disk: time and memory: make bench-training [BENCH_FLAGS="--rows 10000000" or "--curve"]
	$(SERVE)/python -m benchmarks.training $(BENCH_FLAGS)

bench-batch: setup-dev ## score a batch, beside pandas and the pipeline: make bench-batch [BENCH_FLAGS="--rows 10000000 --ways compiled"]
	$(SERVE)/python -m benchmarks.batch $(BENCH_FLAGS)

bench-calibration: setup-dev ## what calibrations and sets of classes are worth: make bench-calibration [BENCH_FLAGS="--file data/employees/enriched_employee_dataset.csv"]
	$(SERVE)/python -m benchmarks.calibration $(BENCH_FLAGS)

bench-unusual: setup-dev ## how well unusual records are found, and what that costs: make bench-unusual [BENCH_FLAGS="--files folder"]
	$(SERVE)/python -m benchmarks.unusual $(BENCH_FLAGS)

bench-data-check: setup-dev ## what the data check finds, and what it finds where nothing is
	$(SERVE)/python -m benchmarks.data_check $(BENCH_FLAGS)

bench-sensitive: setup-dev ## what a model loses without a sensitive column, and what that does to gaps between groups
	$(SERVE)/python -m benchmarks.sensitive_feature $(BENCH_FLAGS)

bench-drift: setup-dev ## false alarms and delays of the check for drift, by simulation: make bench-drift [BENCH_FLAGS="--dataset heart"]
	$(SERVE)/python -m benchmarks.drift_detection $(BENCH_FLAGS)

bench-labels: setup-dev ## false alarms and delays of the alarm on labels, by simulation
	$(SERVE)/python -m benchmarks.label_alarm $(BENCH_FLAGS)

bench-retrain: setup-dev ## quality before, under and after a drift, with labels: make bench-retrain [BENCH_FLAGS="--family svm --runs 3"]
	$(SERVE)/python -m benchmarks.retraining $(BENCH_FLAGS)

bench-groups: setup-dev ## what the report on groups says: make bench-groups [BENCH_FLAGS="--dataset heart --file data/heart/heart.csv"]
	$(SERVE)/python -m benchmarks.group_report $(BENCH_FLAGS)

bench-slices: setup-dev ## how often the search for bad slices finds what is there, and what is not
	$(SERVE)/python -m benchmarks.slice_search $(BENCH_FLAGS)

bench-latency-bound: setup-dev ## whether a time of one record could be a bound of the gate
	$(SERVE)/python -m benchmarks.latency_bound $(BENCH_FLAGS)


bench-stream: setup-dev ## speed of the stream worker, on real servers
	$(SERVE)/python -m benchmarks.stream $(BENCH_FLAGS)

.PHONY: bench-store
bench-store: setup-dev ## what stored predictions take on the disk
	$(SERVE)/python -m benchmarks.store_size $(BENCH_FLAGS)

.PHONY: bench-trace-index
bench-trace-index: setup-dev ## what the index on the trace of a prediction gives and costs
	$(SERVE)/python -m benchmarks.trace_index $(BENCH_FLAGS)

.PHONY: bench-tracing
bench-tracing: setup-dev ## processor time that traces cost a request
	$(SERVE)/python -m benchmarks.tracing $(BENCH_FLAGS)

bench-soak: bench-machine setup-dev ## two minutes of load while the alias moves every five seconds; needs wrk
	$(SERVE)/python -m benchmarks.soak $(BENCH_FLAGS)

bench-bombs: setup-dev ## small inputs with a large cost: memory, time and longest stall of /health for each: make bench-bombs [BENCH_FLAGS="--only GraphQL"]
	$(SERVE)/python -m benchmarks.bombs $(BENCH_FLAGS)

# The embedded stack. SERVICES="postgres valkey" starts only these and what they need; FOLLOW=-f goes on showing a log.
# Before `make setup` there is nothing that could run, and nothing to do.
STACK = test ! -x $(ENVS)/embedded/bin/python || $(HEARTH)

up: setup ## start the embedded stack and wait until all of it is healthy
	@$(STACK) up $(SERVICES)

.PHONY: monitoring dashboards
monitoring: setup ## start the stack with Prometheus, on port 9090: docs/monitoring.md
	@$(STACK) up
	@$(STACK) up prometheus

dashboards: setup-dev ## generate the JSON of Grafana's dashboards again, from deploy/monitoring/dashboards
	$(SERVE)/python -m deploy.monitoring.dashboards.generate

down: ## stop it, leaving nothing behind
	@$(STACK) down

status: ## print the state of each service
	@$(STACK) status

logs: ## show the log of one service: make logs S=stream_worker [FOLLOW=-f]
	@$(STACK) logs $(FOLLOW) -- $(or $(S),"")

clean: ## stop it and remove everything that it wrote
	@$(STACK) clean

# The Compose stack. `docker compose --profile all up -d --build --wait` does the same as compose-up for those who have no .env.local.
# IMAGES=requirements/images.env, at each of these targets: the images by their digests. A target without it would start services anew by their tags.
COMPOSE = docker compose --env-file .env $(if $(IMAGES),--env-file $(IMAGES)) $(if $(wildcard .env.local),--env-file .env.local)
PROFILE ?= all
.PHONY: compose-backup compose-restore secrets compose-up compose-dev compose-down compose-clean compose-status compose-smoke compose-demo-drift compose-drill compose-conformance compose-export lint-compose

secrets: ## write strong values for all secrets to .env.local
	@$(PYTHON) -m deploy.compose.make_secrets

compose-up: ## build the images, start the Compose stack, wait until it is healthy: make compose-up [PROFILE=serving] [OBJECT_STORE=seaweedfs]
	HEARTH_GIT_REVISION=$$(git describe --always --dirty --abbrev=40 --exclude='*') $(COMPOSE) --profile $(PROFILE) up -d --build --wait

compose-dev: ## the same with the checkout mounted: services start again when a file changes
	$(COMPOSE) -f docker-compose.yaml -f docker-compose.dev.yaml --profile $(PROFILE) up -d --build --wait

compose-smoke: ## use the running Compose stack as a user would: make compose-smoke [DATASET=all] [TRIALS=3]
	$(COMPOSE) run --rm smoke $(call flag,dataset,DATASET) $(call flag,trials,TRIALS)

compose-demo-drift: ## in the running Compose stack: records drift, and the loop closes by itself: make compose-demo-drift [DATASET=heart]
	$(COMPOSE) run --rm demo_drift $(call flag,dataset,DATASET)

compose-drill: ## restart every service of the running Compose stack in turn; each time it has to heal and to work
	@$(PYTHON) -m deploy.compose.drill

compose-conformance: setup-dev ## ask the object store that Compose runs for all that Hearth needs of one
	@HEARTH_CONFORMANCE=configured $(RUN) -m pytest $(PYTEST_FLAGS) tests/integration/test_object_store_conformance.py

.PHONY: compose-housekeeping
compose-housekeeping: ## empty MLflow's trash of the running Compose stack; what fills it is the DAG hearth_housekeeping
	@$(COMPOSE) run --rm mlflow-gc

compose-export: ## write the predictions of the running Compose stack to predicciones.csv
	@$(COMPOSE) exec -T stream_worker sh -c 'python -m hearth export --output /tmp/export.csv >&2 && cat /tmp/export.csv' > predicciones.csv

# The folder is mounted, and its files are of the user who runs this.
COMPOSE_BACKUPS = --rm --user "$$(id -u):$$(id -g)" --volume "$$(cd '$(1)' && pwd):/backups"
compose-backup: ## back up the running Compose stack: make compose-backup TO=folder [KEEP=7]
	@test -n "$(TO)" || { echo 'Say where to: make compose-backup TO=folder' >&2; exit 2; }
	@mkdir -p '$(TO)'
	@$(COMPOSE) run $(call COMPOSE_BACKUPS,$(TO)) backup --to /backups $(call flag,keep,KEEP)

compose-restore: ## fill an empty Compose stack with a backup, and start it: make compose-restore FROM=folder [ID=…] [FORCE=1]
	@test -n "$(FROM)" || { echo 'Say where from: make compose-restore FROM=folder' >&2; exit 2; }
	$(if $(FORCE),$(COMPOSE) --profile all stop)
	$(COMPOSE) --profile all up -d --build --wait mlflow valkey
	$(COMPOSE) --profile all run --rm --no-deps airflow-init
	@$(COMPOSE) run $(call COMPOSE_BACKUPS,$(FROM)) restore $(if $(ID),'$(ID)') --from /backups $(if $(FORCE),--force)
	$(COMPOSE) --profile all up -d --wait

compose-status: ## say how each container is
	@$(COMPOSE) --profile all ps --all

compose-down: ## stop the Compose stack; its data stay
	$(COMPOSE) --profile all --profile monitoring down

compose-clean: ## stop it and remove all of its data
	$(COMPOSE) --profile all --profile monitoring down --volumes

lint-compose: setup-dev ## the Dockerfiles, and where Docker is, the Compose file
	$(SERVE)/hadolint dockerfiles/*/Dockerfile
	@if docker compose version > /dev/null 2>&1; then \
		for store in minio seaweedfs external; do \
			OBJECT_STORE=$$store docker compose --profile all --profile monitoring --profile debug config --quiet || exit 1; done; \
		docker compose -f docker-compose.yaml -f docker-compose.dev.yaml --profile all config --quiet; \
	else echo "lint-compose: docker compose config was skipped, because Docker Compose is not installed here"; fi

# Two commands to know: `make run` serves, `make test` tests. `make help` lists the others.
.DEFAULT_GOAL := help
.PHONY: help run run-postgres demo-move build test crash-matrix lint bench model

help: ## list what make can do here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: build ## serve on http://127.0.0.1:8080 with SQLite alone, data under ./data
	@exec bin/smartseller serve

run-postgres: build ## serve with Postgres beside SQLite, the server and its data under ./data/postgres
	@. .ci/need.sh && need_postgres
	@go build -o bin/runpostgres ./app/runpostgres
	@exec bin/runpostgres data/postgres bin/smartseller

demo-move: build ## move the demo storefront between all kinds of backend under load, and count what was lost
	@. .ci/need.sh && need_postgres
	@go build -o bin/runpostgres ./app/runpostgres
	@go build -o bin/demomove ./e2e/demomove
	@exec bin/demomove bin/runpostgres bin/smartseller

build: ## build bin/smartseller
	@. .ci/need.sh && need_compiler
	@go build -o bin/smartseller ./app/smartseller

test: ## install what is missing, run every test, leave nothing behind
	@.ci/test

COURSE = .
SAMPLE = 1
crash-matrix: ## kill the server at every point of a move, for hours, and print how each move ended; COURSE="files and shared" for one pair, SAMPLE=0.1 for a tenth by lot, SEED=7 for the same tenth
	@. .ci/need.sh && need_compiler && need_postgres
	@go build -o bin/withpostgres ./platform/pgserver/withpostgres
	@exec bin/withpostgres go test ./e2e -count 1 -timeout 48h -parallel $$(($$(nproc) + 1)) -v -run '^TestCrashes$$/$(COURSE)' -crash-matrix -crash-sample $(SAMPLE) $(if $(SEED),-crash-seed $(SEED))

lint: ## check format, vet, module file and golangci-lint's list
	@.ci/lint

bench: ## measure moves against offline peers, growth, neighbours, cutovers, pacing and transactions, as ratios of one run
	@. .ci/need.sh && need_compiler && need_postgres
	@code=0; go run ./e2e/bench || code=$$?; .ci/test -run '^$$' -bench . -benchmem || code=$$?; exit $$code

model: ## install spin if it is missing, check the move's model and that its mutants are caught
	@.ci/model

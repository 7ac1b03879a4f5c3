# Two commands to know: `make run` serves, `make test` tests. `make help` lists the others.
.DEFAULT_GOAL := help
.PHONY: help run run-postgres demo-move build test lint bench

help: ## list what make can do here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: build ## serve on http://127.0.0.1:8080 with SQLite alone, data under ./data
	@exec bin/smartseller serve

run-postgres: build ## the same with PostgreSQL: control database, a shared and a dedicated backend
	@. .ci/need.sh && need_postgres
	@exec go run ./e2e/devpostgres

demo-move: build ## move the demo storefront through all backends under visible load
	@. .ci/need.sh && need_postgres
	@exec go run ./e2e/demomove

build: ## build bin/smartseller
	@. .ci/need.sh && need_compiler
	@go build -o bin/smartseller ./app/smartseller

test: ## install what is missing, run every test, leave nothing behind
	@.ci/test

lint: ## check format, vet, module file and golangci-lint's list
	@.ci/lint

bench: ## run the benchmarks beside a throwaway PostgreSQL server
	@.ci/test -run '^$$' -bench . -benchmem

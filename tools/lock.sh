#!/usr/bin/env bash
# Write the lock files from pyproject.toml, every entry with its hashes:
#   requirements.lock        run time: the image and `make demo`
#   requirements-build.lock  the build back end, so that building the package fetches nothing without a hash either
#   requirements-dev.lock    all of it and the development tools: `make test`
#   requirements-fuzz.lock   atheris alone, which has wheels for Linux on x86-64 only: `make fuzz` adds it
#   requirements-audit.lock  pip-audit and what it needs: `make audit` adds it
#
#   tools/lock.sh [--upgrade]     without --upgrade the versions already locked are kept where they still fit
#
# The machine's own pip and uv settings are kept out, so that no private index, mirror or local directory
# can get into a committed file; set UV_DEFAULT_INDEX to resolve from another index (it is not written down either).
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
uv=$venv/bin/uv
[ -x "$uv" ] || "$venv/bin/python" -m pip install --quiet 'uv>=0.9'

compile() {
  env -u PIP_FIND_LINKS -u UV_FIND_LINKS -u PIP_INDEX_URL -u UV_INDEX \
    "$uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@"
}

# hatchling is pyproject's build back end; editables is what it needs for `pip install -e`.
build='hatchling>=1.26
editables>=0.5'
# No release of atheris has wheels for all Pythons that koordnri runs on.
fuzz='atheris>=3.0,<3.1; python_version < "3.12"
atheris>=3.1; python_version >= "3.12"'

compile "$@" pyproject.toml --output-file requirements.lock
compile "$@" - --constraint requirements.lock --output-file requirements-build.lock <<<"$build"
compile "$@" pyproject.toml - --extra dev --constraint requirements.lock --constraint requirements-build.lock \
  --output-file requirements-dev.lock <<<"$build"
compile "$@" - --output-file requirements-fuzz.lock <<<"$fuzz"
compile "$@" - --constraint requirements-dev.lock --output-file requirements-audit.lock <<<'pip-audit>=2.10'

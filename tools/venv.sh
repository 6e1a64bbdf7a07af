#!/usr/bin/env bash
# Make the virtual environment from lock files, then install the project itself in it (editable).
#
#   tools/venv.sh VENV LOCK...
#
# Every package comes with a hash from a lock; the project is built by the locked hatchling (no build isolation,
# which would fetch one without a hash). PYTHON names the interpreter, python3 by default.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
shift
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "koordnri needs Python >= 3.11; $python is $("$python" --version 2>&1). Name another one: make PYTHON=python3.12 …" >&2
  exit 1
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  # Debian splits ensurepip off into python3-venv.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv
    else
      echo "$python has no ensurepip: install the package python3-venv" >&2
      exit 1
    fi
  fi
  "$python" -m venv "$venv"
fi

requirements=()
for lock in "$@"; do requirements+=(--requirement "$lock"); done
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "${requirements[@]}"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

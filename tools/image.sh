#!/bin/sh
# Build the container image: tools/image.sh NAME:TAG, which `make image` calls.
#
# The first of docker, podman and buildah that runs on this machine builds it; ENGINE names another one.
# PYTHON_IMAGE    base image, if not the Dockerfile's
# PACKAGE_INDEX   URL of a package index, if not pip's default
# CA_FILE         certificates (PEM) by which that index is checked, instead of pip's own; it is not part of the image
# SOURCE_DATE_EPOCH   s since 1970: the time of all that is in the image; of the last commit, if not given
set -eu
cd "$(dirname "$0")/.."

# docker alone is no engine: `docker version` fails without its daemon.
runs() {
    "$1" version >/dev/null 2>&1
}

engine=${ENGINE:-}
for candidate in docker podman buildah; do
    if [ -z "$engine" ] && runs "$candidate"; then
        engine=$candidate
    fi
done
if [ -z "$engine" ]; then
    echo "no container engine runs here: tried docker, podman and buildah, each with \`version\`; install one, start docker's daemon," \
        "or give ENGINE=PROGRAM" >&2
    exit 1
fi

set -- --tag "$1"
if [ -n "${PYTHON_IMAGE:-}" ]; then
    set -- "$@" --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"
fi
if [ -n "${PACKAGE_INDEX:-}" ]; then
    set -- "$@" --build-arg "PIP_INDEX_URL=$PACKAGE_INDEX"
fi
if [ -n "${CA_FILE:-}" ]; then
    if [ ! -r "$CA_FILE" ]; then
        echo "CA_FILE: $CA_FILE cannot be read; expected a file with certificates in PEM" >&2
        exit 1
    fi
    set -- "$@" --secret "id=ca,src=$CA_FILE"
fi
# Two builds of one commit give one digest.
epoch=${SOURCE_DATE_EPOCH:-}
if [ -z "$epoch" ]; then
    epoch=$(git log -1 --format=%ct 2>/dev/null) || epoch=315532800  # 1980, where there is no repository
fi
set -- "$@" --build-arg "SOURCE_DATE_EPOCH=$epoch"
case $engine in
    podman | buildah) set -- "$@" --timestamp "$epoch" ;;
esac
# buildah needs neither runc nor crun this way, and no daemon.
export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
echo "$engine build $* ."
exec env DOCKER_BUILDKIT=1 "$engine" build "$@" .

# make image, or: docker build -t koordnri:0.1.0 .
# The base by argument: an inner mirror, another Python >= 3.11 with venv and pip, or a digest.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/koordnri
WORKDIR /src
# Dependencies first: they change less often than the code. Nothing is installed without a hash, and wheels only,
# so that no package's build script runs.
COPY requirements.lock requirements-build.lock ./
# An inner index by argument, and its certificates as a secret, which no layer keeps.
ARG PIP_INDEX_URL
RUN --mount=type=secret,id=ca,target=/run/ca.pem \
    if [ -s /run/ca.pem ]; then export PIP_CERT=/run/ca.pem; fi \
 && /opt/koordnri/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary=:all: -r requirements.lock \
 && python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary=:all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY koordnri koordnri
COPY hooks hooks
# Of the kubernetes client, 120 MB are generated classes that koordnri does not use.
COPY tools/strip_client.py tools/sbom.py tools/
RUN /opt/koordnri/bin/python tools/strip_client.py "$(/opt/koordnri/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The back end lives in its own environment and stays behind here, as do pip and what venv brings with it.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/koordnri/bin/pip install --no-cache-dir --no-compile --no-deps --no-index /wheels/*.whl \
 && /opt/koordnri/bin/pip uninstall --yes setuptools pip
# The same input gives the same bytes. Byte code holds no time of its source, all files have the time of the commit,
# and a fixed seed keeps the order of sets in the byte code.
ARG SOURCE_DATE_EPOCH=315532800
RUN /opt/koordnri/bin/python tools/sbom.py /opt/koordnri >/opt/koordnri/sbom.cdx.json \
 && find /opt/koordnri -name __pycache__ -prune -exec rm -r {} + \
 && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/koordnri/lib \
 && find /opt/koordnri -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/koordnri /opt/koordnri
# Everything is compiled to byte code above; the root file system is read-only at run time.
ENV PATH=/opt/koordnri/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Root: the NRI socket belongs to root. The manifests take every capability away.
USER 0
EXPOSE 9316
ENTRYPOINT ["koordnri", "run"]

# make image, or: docker build -t koordnri:0.1.0 .
# The base by argument: an inner mirror, another Python >= 3.11, or a digest.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
RUN python -m venv /opt/koordnri
WORKDIR /src
# Dependencies first: they change less often than the code. Nothing is installed without a hash, and wheels only,
# so that no package's build script runs.
COPY requirements.lock requirements-build.lock ./
# An inner index by argument, and its certificates as a secret, which no layer keeps.
ARG PIP_INDEX_URL
RUN --mount=type=secret,id=ca,target=/run/ca.pem \
    if [ -s /run/ca.pem ]; then export PIP_CERT=/run/ca.pem; fi \
 && /opt/koordnri/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY koordnri koordnri
COPY hooks hooks
# Of the kubernetes client, 120 MB are generated classes that koordnri does not use.
COPY tools/strip_client.py tools/strip_client.py
RUN /opt/koordnri/bin/python tools/strip_client.py "$(/opt/koordnri/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The back end lives in its own environment and stays behind here, as does pip.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/koordnri/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /opt/koordnri/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/koordnri /opt/koordnri
# pip has compiled everything to byte code at install; the root file system is read-only at run time.
ENV PATH=/opt/koordnri/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Root: the NRI socket belongs to root. The manifests take every capability away.
USER 0
EXPOSE 9316 9318
ENTRYPOINT ["koordnri", "run"]

# The image of the worker, the web process and the commands: `python -m workers`, `python -m tellfirst.web`, `tellfirst`.
FROM python:3.12-slim AS packages
RUN python -m venv /opt/venv
COPY requirements-server.lock .
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-server.lock

FROM python:3.12-slim
# A fixed id, so that volumes keep their owner from one image to the next.
RUN groupadd --gid 10001 tellfirst \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tellfirst \
    && install -d -o 10001 -g 10001 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY tellfirst tellfirst
COPY workflows workflows
COPY activities activities
COPY workers workers
# What the wheel's entry point would be; nothing is built here, so that only locked packages are installed.
RUN printf '%s\n' '#!/opt/venv/bin/python' 'from tellfirst.cli import main' 'main()' >/opt/venv/bin/tellfirst \
    && chmod 0755 /opt/venv/bin/tellfirst
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
CMD ["python", "-m", "workers"]

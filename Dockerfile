# One image for every part: `relink migrate`, `relink setup`, `relink api`, `relink worker`.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    RELINK_API_HOST=0.0.0.0 RELINK_LOG_FORMAT=json
WORKDIR /relink

COPY requirements.lock ./
RUN pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE policy.toml worker.py ./
COPY workflows workflows
COPY activities activities
COPY starter starter
COPY templates templates
# Run from the source tree: `python -m starter` is the `relink` command.
RUN printf '#!/bin/sh\nexec python -m starter "$@"\n' > /usr/local/bin/relink && chmod +x /usr/local/bin/relink \
    && useradd --system --create-home relink
USER relink
ENTRYPOINT ["relink"]
CMD ["worker"]

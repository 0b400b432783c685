# The results service and every other schedy command, as an unprivileged user.
FROM python:3.11-slim

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/schedy schedy

COPY . /src
RUN pip install --no-cache-dir "/src[postgres,optuna,web]" && rm -rf /src

USER schedy
WORKDIR /var/lib/schedy
ENV SCHEDY_DATA_DIR=/var/lib/schedy \
    PYTHONUNBUFFERED=1

# Asks broker and store; fails, too, while no results service consumes. Once a minute, because each look leaves
# lines in the broker's log: it tries what the user may send.
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s --retries=3 CMD ["schedy", "doctor"]

ENTRYPOINT ["schedy"]
CMD ["serve"]

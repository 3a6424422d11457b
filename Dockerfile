# Framecast as an image: no root, nothing in it but Python and what pip installs.
#
#   docker build -t framecast .
#   docker run -d --name framecast -p 8080:8080 -v framecast:/data framecast
#   docker logs framecast          # the first start prints a link by which you become its owner; it names the
#                                  # container's address: put this machine's in its place
#
# EXTRA names extras of pyproject.toml: all, some (media,vision), or nothing (no H.264 and no RTSP, far smaller).

FROM python:3.11-slim-bookworm AS build
ARG EXTRA=all
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/framecast
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/framecast/bin/pip install --quiet ".${EXTRA:+[$EXTRA]}" \
 && /opt/framecast/bin/pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim-bookworm AS run
# Its number is what a folder given with -v has to belong to.
RUN groupadd --gid 10001 framecast \
 && useradd --uid 10001 --gid framecast --home-dir /data --no-create-home --shell /usr/sbin/nologin framecast \
 && install -d -m 0700 -o framecast -g framecast /data
COPY --from=build /opt/framecast /opt/framecast
ENV PATH=/opt/framecast/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data FRAMECAST_HOST=0.0.0.0 FRAMECAST_PORT=8080 FRAMECAST_DATA=/data
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['FRAMECAST_PORT'] + '/readyz', timeout=4)"]
USER 10001:10001
ENTRYPOINT ["framecast"]
CMD ["serve"]

# For places that mount volumes which belong to root, such as fly.io: takes the folder over, then gives root up for good.
FROM run AS takes-data-over
# hadolint ignore=DL3002
USER root
ENTRYPOINT ["/bin/sh", "-c", "chown framecast:framecast /data && exec setpriv --reuid=framecast --regid=framecast --clear-groups --no-new-privs --bounding-set=-all framecast \"$@\"", "framecast"]
CMD ["serve"]

FROM run

# docker build -t dvcl .                                  for processors
# docker build -t dvcl --build-arg TORCH=cu130 .          for NVIDIA GPUs, with a build that pytorch.org lists
# docker run --rm --network none --user $(id -u):$(id -g) -v "$PWD":/work dvcl train study
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG TORCH=cpu
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY recipes recipes
RUN python -m venv /opt/dvcl \
    && /opt/dvcl/bin/pip install --no-cache-dir --constraint constraints.txt \
       --extra-index-url https://download.pytorch.org/whl/${TORCH} '.[fast,figures,formats]' \
    && /opt/dvcl/bin/dvcl --help > /dev/null

FROM python:${PYTHON}-slim
COPY --from=build /opt/dvcl /opt/dvcl
RUN useradd --create-home dvcl && mkdir /work && chown dvcl /work
# Caches go where any user may write, as --user may name one that the image does not know.
ENV PATH=/opt/dvcl/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
USER dvcl
WORKDIR /work
ENTRYPOINT ["dvcl"]
CMD ["--help"]

FROM apache/airflow:3.3.2-python3.12

# Volumes take over these directories with their owner.
RUN mkdir -p /opt/airflow/keys /opt/airflow/logs

USER root
RUN install --directory --owner airflow --group 0 /opt/trempy
USER airflow
WORKDIR /opt/trempy
COPY --chown=airflow:0 constraints.txt pyproject.toml setup.cfg README.md LICENSE ./
COPY --chown=airflow:0 trempy_provider trempy_provider
RUN pip install --no-cache-dir --constraint constraints.txt ".[messaging]"
COPY --chown=airflow:0 sandbox sandbox
COPY --chown=airflow:0 docker docker
WORKDIR /opt/airflow

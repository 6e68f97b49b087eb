# SPDX-License-Identifier: Apache-2.0
# The image of Cloud Custodian with the plugins, built in the checkout's root:
#
#     docker build -f deploy/c7n.Dockerfile -t c7n-iamusers .
#     docker run --rm -v "$PWD/policies:/home/custodian/policies:ro" c7n-iamusers validate policies/remind.yml
#
# BASE: cloudcustodian/c7n or cloudcustodian/c7n-org, 0.9.52 or newer, better with its digest. Their environment,
# /src/.venv, has no pip, so the package is installed beside it and copied in. The commands of c7n-org's image need
# the extra org, which it has; the command c7n-iamusers needs the extra cli, which neither has.
ARG BASE=cloudcustodian/c7n:latest

FROM python:3.12-slim AS build
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE c7n_iamusers.pth c7n_iamusers.start /checkout/
COPY c7n_iamusers /checkout/c7n_iamusers
COPY c7n_iamusers_cli /checkout/c7n_iamusers_cli
RUN pip install --no-cache-dir --no-deps --target /plugins /checkout

FROM ${BASE}
USER root
COPY --from=build /plugins /plugins
RUN cp -r /plugins/. /src/.venv/lib/python3.*/site-packages/ && rm -r /plugins
USER custodian
# or else a policy would fail only when it runs
RUN /src/.venv/bin/custodian schema aws.iam-user.actions.composite-delete > /dev/null

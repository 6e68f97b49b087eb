# SPDX-License-Identifier: Apache-2.0
"""Resources of an account whose policies name a principal: one of each of the services of the local organization."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from aws_local_org import LocalOrg
from tests.policies import ACCOUNT

REGION = "us-east-1"
SERVICES = ("ecr", "kms", "s3", "secretsmanager", "sns", "sqs")
#: Those, as the policy of a filter names them.
BLAST: dict[str, Any] = {"blast-radius": [*SERVICES], "blast-radius-regions": [REGION]}


def document(*statements: dict[str, Any]) -> str:
    """A policy with ``statements``."""
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def allow(principal: str) -> dict[str, Any]:
    """A statement that allows ``principal`` everything."""
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "*", "Resource": "*"}


class NamedUsers:
    """A bucket, a key, a queue, a topic, a secret and a repository, and another of each without such a policy."""

    def __init__(self, org: LocalOrg, *statements: dict[str, Any]) -> None:
        self._client: Callable[[str], Any] = lambda service: org.client(service, ACCOUNT)
        client = self._client
        for name in ("invoices", "other"):
            client("s3").create_bucket(Bucket=name)
            client("secretsmanager").create_secret(Name=name, SecretString="x")
            client("ecr").create_repository(repositoryName=name)
        self.key = client("kms").create_key()["KeyMetadata"]["KeyId"]
        client("kms").create_key()
        self.queue = client("sqs").create_queue(QueueName="invoices")["QueueUrl"]
        client("sqs").create_queue(QueueName="other")
        self.topic = client("sns").create_topic(Name="invoices")["TopicArn"]
        client("sns").create_topic(Name="other")
        self.save(document(*statements))

    def save(self, policy: str) -> None:
        """Give each of them ``policy``."""
        client = self._client
        client("s3").put_bucket_policy(Bucket="invoices", Policy=policy)
        client("kms").put_key_policy(KeyId=self.key, PolicyName="default", Policy=policy)
        client("sqs").set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        given = {"AttributeName": "Policy", "AttributeValue": policy}
        client("sns").set_topic_attributes(TopicArn=self.topic, **given)
        client("secretsmanager").put_resource_policy(SecretId="invoices", ResourcePolicy=policy)
        client("ecr").set_repository_policy(repositoryName="invoices", policyText=policy)

    def policies(self) -> Iterator[Any]:
        """The policies that they have now."""
        client = self._client
        yield client("s3").get_bucket_policy(Bucket="invoices")["Policy"]
        yield client("kms").get_key_policy(KeyId=self.key, PolicyName="default")["Policy"]
        attributes = client("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=["Policy"])
        yield attributes["Attributes"]["Policy"]
        yield client("sns").get_topic_attributes(TopicArn=self.topic)["Attributes"]["Policy"]
        yield client("secretsmanager").get_resource_policy(SecretId="invoices")["ResourcePolicy"]
        yield client("ecr").get_repository_policy(repositoryName="invoices")["policyText"]

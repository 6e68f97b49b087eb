# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.plugins.policy_reader import PolicyReader
from tests.policies import ACCOUNT


def test_try(org: LocalOrg) -> None:
    iam = org.client("iam", ACCOUNT)
    arn = iam.create_user(UserName="alice")["User"]["Arn"]
    statement = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "*", "Resource": "*"}
    doc = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3 = org.client("s3", ACCOUNT)
    s3.create_bucket(Bucket="b30")
    s3.put_bucket_policy(Bucket="b30", Policy=doc)
    s3.create_bucket(Bucket="b31")
    kms = org.client("kms", ACCOUNT)
    kms.create_key(Policy=doc)
    kms.create_key()
    sqs = org.client("sqs", ACCOUNT)
    sqs.create_queue(QueueName="q", Attributes={"Policy": doc})
    sqs.create_queue(QueueName="q2")
    sns = org.client("sns", ACCOUNT)
    sns.create_topic(Name="t", Attributes={"Policy": doc})
    sm = org.client("secretsmanager", ACCOUNT)
    sm.create_secret(Name="s", SecretString="x")
    sm.put_resource_policy(SecretId="s", ResourcePolicy=doc)
    sm.create_secret(Name="s2", SecretString="x")
    ecr = org.client("ecr", ACCOUNT)
    ecr.create_repository(repositoryName="repo")
    ecr.set_repository_policy(repositoryName="repo", policyText=doc)
    ecr.create_repository(repositoryName="r2")
    r = PolicyReader.of(org.session(ACCOUNT), ACCOUNT, "us-east-1").read(
        ["s3", "kms", "sqs", "sns", "secretsmanager", "ecr", "eks"], ["us-east-1"]
    )
    for p in r.policies:
        print(p)
    print(r.entries, r.calls)
    for p in r.unread:
        print(p)
    for p in r.unread:
        print(p)
    import collections
    from c7n_iamusers.plugins import policy_reader as pr

    c = collections.Counter()
    old = pr._Calls.answered

    def new(self, parsed, model, **k):
        c[model.name] += 1
        return old(self, parsed, model, **k)

    pr._Calls.answered = new
    r = PolicyReader.of(org.session(ACCOUNT), ACCOUNT, "us-east-1").read(
        ["s3", "kms", "sqs", "sns", "secretsmanager", "ecr", "eks"], ["us-east-1"]
    )
    print(c)

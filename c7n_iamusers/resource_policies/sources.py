# SPDX-License-Identifier: Apache-2.0
"""Which resources have policies that can name a user, and what reading them needs. Pure.

The resources are those for which Cloud Custodian has the filter ``cross-account``, which knows how their policies are
read. A test compares both tables with the installed c7n, the permissions included. Some rows have an action more than
c7n declares, since it makes the call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

#: The value of the option ``blast-radius`` that means each service.
ALL = "all"
#: The piece of evidence, as ``sources`` of an annotation name it.
RESOURCE_POLICIES = "resource-policies"
#: The service of access entries, which c7n does not read.
EKS = "eks"


@dataclass(frozen=True)
class PolicySource:
    """``service``: as boto3 names it. ``resource``: as c7n names it.

    ``permissions``: the actions that c7n needs for its list and its policies. ``only_in``: the Region in which it is
    read for all; empty if each Region has its own, and ``FIRST`` if any Region lists all of them.
    """

    service: str
    resource: str
    permissions: tuple[str, ...]
    only_in: str = ""


#: Where any Region lists what all have.
FIRST = "first"
_TAGS = "tag:GetResources"


def _source(service: str, resource: str, *permissions: str, only_in: str = "") -> PolicySource:
    return PolicySource(service, resource, tuple(sorted({*permissions})), only_in)


SOURCES: tuple[PolicySource, ...] = (
    _source("apigateway", "rest-api", "apigateway:GET", _TAGS),
    _source(
        "codeartifact",
        "artifact-domain",
        "codeartifact:GetDomainPermissionsPolicy",
        *("codeartifact:DescribeDomain", "codeartifact:ListDomains", "codeartifact:ListTagsForResource"),
    ),
    _source(
        "codeartifact",
        "artifact-repo",
        "codeartifact:GetRepositoryPermissionsPolicy",
        "codeartifact:ListRepositories",
    ),
    _source(
        "comprehend",
        "comprehend-document-classifier",
        *("comprehend:DescribeResourcePolicy", "comprehend:ListDocumentClassifiers", _TAGS),
    ),
    _source(
        "comprehend",
        "comprehend-entity-recognizer",
        *("comprehend:DescribeResourcePolicy", "comprehend:ListEntityRecognizers", _TAGS),
    ),
    _source("dsql", "dsql-cluster", "dsql:GetClusterPolicy", "dsql:GetCluster", "dsql:ListClusters", _TAGS),
    _source(
        "dynamodb",
        "dynamodb-table",
        "dynamodb:GetResourcePolicy",
        *("dynamodb:DescribeTable", "dynamodb:ListTables", "dynamodb:ListTagsOfResource", _TAGS),
    ),
    _source("ec2", "vpc-endpoint", "ec2:DescribeVpcEndpoints", _TAGS),
    _source("ecr", "ecr", "ecr:GetRepositoryPolicy", "ecr:DescribeRepositories", "ecr:ListTagsForResource"),
    _source(
        "efs",
        "efs",
        "elasticfilesystem:DescribeFileSystemPolicy",
        *("elasticfilesystem:DescribeFileSystems", "elasticfilesystem:ListTagsForResource", _TAGS),
    ),
    _source(
        "es",
        "elasticsearch",
        "es:DescribeElasticsearchDomainConfig",
        "es:DescribeElasticsearchDomains",
        "es:ListDomainNames",
        "es:ListTags",
    ),
    _source(
        "events",
        "event-bus",
        *("events:ListEventBuses", "events:DescribeEventBus", "events:ListTagsForResource", _TAGS),
    ),
    _source(
        "glacier",
        "glacier",
        "glacier:GetVaultAccessPolicy",
        "glacier:ListTagsForVault",
        "glacier:ListVaults",
        _TAGS,
    ),
    _source("glue", "glue-catalog", "glue:GetResourcePolicy", "glue:GetDataCatalogEncryptionSettings"),
    _source(
        "kafka", "kafka", "kafka:GetClusterPolicy", "kafka:ListClustersV2", "kafka:ListTagsForResource", _TAGS
    ),
    _source(
        "kinesis",
        "kinesis",
        "kinesis:GetResourcePolicy",
        *("kinesis:DescribeStream", "kinesis:ListStreams", "kinesis:ListTagsForStream", _TAGS),
    ),
    _source(
        "kms",
        "kms-key",
        "kms:GetKeyPolicy",
        "kms:DescribeKey",
        "kms:ListAliases",
        "kms:ListKeys",
        "kms:ListResourceTags",
        _TAGS,
    ),
    _source("lambda", "lambda", "lambda:GetPolicy", "lambda:ListFunctions", "lambda:ListTags", _TAGS),
    _source("lexv2-models", "lexv2-bot", "lex:DescribeResourcePolicy", "lex:ListBots", _TAGS),
    _source(
        "lexv2-models",
        "lexv2-bot-alias",
        "lex:DescribeResourcePolicy",
        *("lex:DescribeBotAlias", "lex:ListBotAliases", "lex:ListBots", _TAGS),
    ),
    _source(
        "logs",
        "delivery-destination",
        "logs:GetDeliveryDestinationPolicy",
        "logs:DescribeDeliveryDestinations",
        _TAGS,
    ),
    _source("logs", "destination", "logs:DescribeDestinations", _TAGS),
    _source(
        "osis", "opensearch-ingestion", "osis:GetResourcePolicy", "osis:GetPipeline", "osis:ListPipelines"
    ),
    _source(
        "payment-cryptography",
        "payment-cryptography-key",
        "payment-cryptography:GetResourcePolicy",
        *("payment-cryptography:GetKey", "payment-cryptography:ListKeys"),
    ),
    _source(
        "qbusiness",
        "qbusiness-application",
        "qbusiness:GetPolicy",
        *("qbusiness:GetApplication", "qbusiness:ListApplications", _TAGS),
    ),
    _source(
        "s3",
        "s3",
        "s3:GetBucketPolicy",
        *("s3:GetBucketLocation", "s3:GetBucketTagging", "s3:ListAllMyBuckets"),
        only_in=FIRST,
    ),
    _source("s3control", "s3-access-point", "s3:GetAccessPointPolicy", "s3:ListAccessPoints"),
    _source(
        "s3control",
        "s3-access-point-multi",
        "s3:GetMultiRegionAccessPointPolicy",
        "s3:ListMultiRegionAccessPoints",
        # "Managing Multi-Region Access Points" (Amazon S3 User Guide): the control plane is in this Region
        only_in="us-west-2",
    ),
    _source(
        "s3files",
        "s3files-file-system",
        "s3files:GetFileSystemPolicy",
        *("s3files:GetFileSystem", "s3files:ListFileSystems", _TAGS),
    ),
    _source("s3tables", "s3-table", "s3tables:GetTablePolicy", "s3tables:ListTables", _TAGS),
    _source(
        "s3tables", "s3-table-bucket", "s3tables:GetTableBucketPolicy", "s3tables:ListTableBuckets", _TAGS
    ),
    _source(
        "secretsmanager",
        "secrets-manager",
        "secretsmanager:GetResourcePolicy",
        *("secretsmanager:DescribeSecret", "secretsmanager:ListSecrets"),
    ),
    _source("sesv2", "ses-email-identity", "ses:ListEmailIdentities", "ses:GetEmailIdentity", _TAGS),
    _source("sns", "sns", "sns:GetTopicAttributes", "sns:ListTagsForResource", "sns:ListTopics", _TAGS),
    _source("sqs", "sqs", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:ListQueues", _TAGS),
    _source(
        "vpc-lattice",
        "vpc-lattice-service",
        "vpc-lattice:GetAuthPolicy",
        *("vpc-lattice:GetService", "vpc-lattice:ListServices", "vpc-lattice:ListTagsForResource", _TAGS),
    ),
    _source(
        "vpc-lattice",
        "vpc-lattice-service-network",
        "vpc-lattice:GetAuthPolicy",
        *(
            "vpc-lattice:GetServiceNetwork",
            "vpc-lattice:ListServiceNetworks",
            "vpc-lattice:ListTagsForResource",
            _TAGS,
        ),
    ),
)
#: What reads the access entries of clusters: the principal's ARN is in the list.
EKS_PERMISSIONS = ("eks:ListClusters", "eks:ListAccessEntries")

_BY_ACCOUNT = "it is shared with account ids, not with users"
#: Resource, as c7n names it -> why it is in no row above although c7n has the filter for it.
LEFT_OUT: Mapping[str, str] = {
    "ami": _BY_ACCOUNT,
    "catalog-portfolio": _BY_ACCOUNT,
    "config-recorder": "the filter is about accounts that may aggregate, not about a policy",
    "datalake-location": "the filter is about buckets of other accounts, not about a policy",
    "ebs-snapshot": _BY_ACCOUNT,
    "event-rule-target": "the filter is about targets in other accounts; the bus is read",
    "iam-role": "each run reads roles anyway: role-trusts-user",
    "kms": "an alias has no policy of its own; its key is read",
    "lambda-layer": "its statements name an account, an organization or everybody",
    "log-group": "the filter is about destinations of subscriptions, which are read themselves",
    "peering-connection": "it has no policy",
    "rds-cluster-snapshot": _BY_ACCOUNT,
    "rds-snapshot": _BY_ACCOUNT,
    "readiness-check": "the filter is about accounts that are authorized, not about a policy",
    "redshift-snapshot": _BY_ACCOUNT,
    "serverless-app": "its statements name accounts or everybody",
    "ssm-document": _BY_ACCOUNT,
    "workspaces-image": _BY_ACCOUNT,
}

#: What the option ``blast-radius`` can name.
SERVICES = tuple(sorted({EKS, *(each.service for each in SOURCES)}))


def sources_of(services: Collection[str]) -> tuple[PolicySource, ...]:
    """The rows of ``services``; without those of ``EKS``, which is no row."""
    return tuple(each for each in SOURCES if each.service in services)


def permissions_for(services: Collection[str], every_region: bool = True) -> tuple[str, ...]:
    """The actions that reading ``services`` needs. ``every_region``: whether the Regions must be asked for."""
    needed = {action for each in sources_of(services) for action in each.permissions}
    needed |= {*(EKS_PERMISSIONS if EKS in services else ())}
    return tuple(sorted({*needed, *(("ec2:DescribeRegions",) if every_region and needed else ())}))

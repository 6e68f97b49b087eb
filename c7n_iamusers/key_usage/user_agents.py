# SPDX-License-Identifier: Apache-2.0
"""Which tool a user agent names, where that runs, and where it took its credentials, as the tool itself reports. Pure.

A caller can send any text, so all of it is a claim. What no rule knows stays unknown. AWS SDKs write
``name/version ua/2.1 os/... lang/... md/... exec-env/... m/... app/...`` (botocore/useragent.py of botocore 1.43, and
its counterparts in other languages); S3 writes it in brackets ("CloudTrail record contents", ``userAgent``, and the
examples of events in the guides of services).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

#: Characters of a user agent that are read. CloudTrail keeps 1 KB.
_LONGEST = 2_000
#: Characters of a version, or of a program's own name for itself, that are kept.
_LONGEST_VERSION = 60
UNKNOWN = ""
#: Callers that are not named by a library.
GITHUB, CONSOLE, BROWSER, AWS_SERVICE = "GitHub Actions", "AWS console", "browser", "AWS service"
#: Those that a person uses.
OF_PEOPLE = frozenset({CONSOLE, BROWSER})

#: The letters of one way to find credentials -> what that means (``CREDENTIALS_...`` in ``_USERAGENT_FEATURE_MAPPINGS``
#: of botocore 1.43; other SDKs take the letters from the same list of AWS). A profile that assumes a role has two.
_WAYS: Mapping[str, str] = {
    "e": "passed in code",
    "g": "from environment variables",
    "n": "from a profile in the shared files",
    "v w": "from a credential process",
    "i o p": "of an assumed role",
    "h k q": "of a role by web identity",
    "r s t u": "from IAM Identity Center",
    "AC AD": "from aws login",
    "x": "from boto's configuration file",
    "z": "from a container's endpoint",
    "0": "from the instance's metadata",
}
#: Letter behind ``m/`` -> where credentials come from.
CREDENTIAL_SOURCES: Mapping[str, str] = {
    letter: way for letters, way in _WAYS.items() for letter in letters.split()
}

#: The beginning of ``exec-env/`` -> where it runs: ``AWS_EXECUTION_ENV``, which these services set.
_RUNS_IN: Mapping[str, str] = {
    "AWS_Lambda": "AWS Lambda",
    "AWS_ECS": "Amazon ECS",
    "AWS_EKS": "Amazon EKS",
    "EC2": "Amazon EC2",
    "CloudShell": "AWS CloudShell",
    "AWS_Cloud9": "AWS Cloud9",
    "AWS_CodeBuild": "AWS CodeBuild",
    "AmazonBedrock": "Amazon Bedrock AgentCore",
    "AppRunner": "AWS App Runner",
    "GitHub": GITHUB,
}
#: Product in a user agent, in lower case -> the tool's name. The first product of this table that a user agent has, in
#: the table's order, is the tool: Terraform calls by the SDK for Go, and the AWS CLI by botocore. Sources: the code of
#: the SDKs (aws/*), hashicorp/aws-sdk-go-base, pulumi/pulumi-aws (#1604) and pulumi-aws-native (#128), aws/aws-cdk,
#: ansible-collections/amazon.aws, rclone, minio/minio-go and minio/mc, and the projects of the other names; or events
#: that people published.
_TOOLS: Mapping[str, str] = {
    "crossplane-provider-aws": "Crossplane",
    "crossplane-provider-jet-aws": "Crossplane",
    "upbound-provider-aws": "Crossplane",
    "pulumi-aws": "Pulumi",
    "pulumiawsnative": "Pulumi",
    "pulumiaws": "Pulumi",
    "pulumi": "Pulumi",
    "terraform": "Terraform",
    "opentofu": "OpenTofu",
    "terraform-provider-aws": "Terraform",
    "aws-cdk": "AWS CDK",
    "cdk": "AWS CDK",
    "aws-sam-cli": "AWS SAM CLI",
    "samcli": "AWS SAM CLI",
    "serverless": "Serverless Framework",
    "ansible": "Ansible",
    "ansible-collection": "Ansible",
    "packer": "Packer",
    "vault": "Vault",
    "eksctl": "eksctl",
    "steampipe": "Steampipe",
    "prowler": "Prowler",
    "apn_1826889": "Prowler",  # BOTO3_USER_AGENT_EXTRA (prowler/providers/aws/config.py)
    "cloudcustodian": "Cloud Custodian",
    "cloud-custodian": "Cloud Custodian",
    "c7n": "Cloud Custodian",
    "rclone": "rclone",
    "restic": "restic",
    "s3cmd": "s3cmd",
    "s3fs": "s3fs",
    "s5cmd": "s5cmd",
    "cyberduck": "Cyberduck",
    "mountain": "Mountain Duck",
    "winscp": "WinSCP",
    "velero": "Velero",
    "velero-plugin-for-aws": "Velero",
    "fluent-bit": "Fluent Bit",
    "aws-fluent-bit-plugin": "Fluent Bit",  # src/aws/flb_aws_util.c of fluent/fluent-bit
    "aws-fluent-bit-plugin-windows": "Fluent Bit",  # aws/amazon-cloudwatch-logs-for-fluent-bit
    "duckdb": "DuckDB",  # GetDefaultUserAgent (src/main/config.cpp of duckdb/duckdb)
    "awswrangler": "AWS SDK for pandas",  # awswrangler/_utils.py of aws/aws-sdk-pandas
    "grafana": "Grafana",
    "mc": "MinIO client",
    "minio-go": "MinIO",
    "minio": "MinIO",
    "s3browser": "S3 Browser",
    "veeam": "Veeam",
    "hadoop": "Hadoop",
    "kubernetes": "Kubernetes",
    "aws-cli": "AWS CLI",
    "awspowershell": "AWS Tools for PowerShell",
    "awspowershell.netcore": "AWS Tools for PowerShell",
    "aws-toolkit-for-vscode": "AWS Toolkit",
    "aws-toolkit-for-jetbrains": "AWS Toolkit",
    "aws-amplify": "AWS Amplify",
    "aiobotocore": "aiobotocore",
    "boto3": "boto3",
    "boto": "boto 2",
    "botocore": "botocore",
    "aws-sdk-java": "AWS SDK for Java",
    "aws-sdk-java-v2": "AWS SDK for Java",
    "aws-sdk-kotlin": "AWS SDK for Kotlin",
    "aws-sdk-go": "AWS SDK for Go",
    "aws-sdk-go-v2": "AWS SDK for Go",
    "aws-sdk-nodejs": "AWS SDK for JavaScript",
    "aws-sdk-js": "AWS SDK for JavaScript",
    "aws-sdk-javascript": "AWS SDK for JavaScript",
    "aws-sdk-ruby": "AWS SDK for Ruby",
    "aws-sdk-ruby2": "AWS SDK for Ruby",
    "aws-sdk-ruby3": "AWS SDK for Ruby",
    "aws-sdk-php": "AWS SDK for PHP",
    "aws-sdk-php2": "AWS SDK for PHP",
    "aws-sdk-dotnet": "AWS SDK for .NET",
    "aws-sdk-dotnet-coreclr": "AWS SDK for .NET",
    "aws-sdk-dotnet-45": "AWS SDK for .NET",
    "aws-sdk-dotnet-35": "AWS SDK for .NET",
    "aws-sdk-net": "AWS SDK for .NET",
    "aws-sdk-cpp": "AWS SDK for C++",
    "aws-sdk-rust": "AWS SDK for Rust",
    "aws-sdk-swift": "AWS SDK for Swift",
    "aws-sdk-android": "AWS SDK for Android",
    "aws-sdk-ios": "AWS SDK for iOS",
    "aws-sdk-unity": "AWS SDK for Unity",
    "aws-sdk-perl": "Paws, an SDK for Perl",
    "paws": "Paws, an SDK for Perl",
    "aws-crt": "AWS CRT",
    "libs3": "libs3",  # src/request.c of bji/libs3
    "windowspowershell": "PowerShell",  # Invoke-WebRequest and Invoke-RestMethod
    "powershell": "PowerShell",
    "curl": "curl",
    "python-requests": "requests, a library for Python",
    "postmanruntime": "Postman",
    "go-http-client": "a program in Go",
}
#: A comment in brackets, or what stands between blanks.
_PART = re.compile(r"\([^()]*\)|[^\s()]+")
_VERSION = re.compile(r"v?[0-9][\w.+~-]*|RELEASE\.[\w.-]+")
_SERVICE = re.compile(r"(?:[a-z0-9-]+\.)+amazonaws\.com(?:\.cn)?")
#: What the console and sign-in call themselves, such as signin.amazonaws.com and S3Console/0.4.
_CONSOLE = re.compile(
    r"(?:console|signin)\.(?:[a-z0-9-]+\.)*amazonaws\.com"
    r"|aws[ -]?console\b|s3console/",
    re.IGNORECASE,
)
#: A server of AWS's own, with its name: the console's have that word in it, such as EC2ConsoleFrontend.
_SERVER = re.compile(r"([a-z0-9_ ]*), aws-internal/", re.IGNORECASE)
#: Services of AWS among themselves, the console's own servers too: "AWS Internal", aws-internal/3, Coral/Netty4.
_INTERNAL = re.compile(r"aws[ -]internal\b|coral/", re.IGNORECASE)
#: GitHub's configure-aws-credentials (src/CredentialsClient.ts), which since #1774 tells the run.
_GITHUB = "configure-aws-credentials"
_RUN = ("md/action#", "md/run_id#")
_S3_BROWSER = "S3 Browser"
#: Programs with libs3, such as WinSCP, have their name in a comment, and begin as browsers did.
_LIBS3 = re.compile(r"Mozilla/4\.0 \(Compatible; (.*); libs3 ([0-9.]+);")
#: Products whose version stands behind a blank: "Hadoop 3.3.6" (S3AUtils.java, AWSClientConfig.java of apache/hadoop).
_BLANK = frozenset({"hadoop"})
#: Tools whose product has no version of theirs: it is a fixed one, or that of their provider.
_WITHOUT_VERSION = frozenset({"Pulumi"})


@dataclass(frozen=True)
class UserAgent:
    """What a user agent says; a member is empty where it says nothing that is known.

    ``tool``: its name for people. ``version``: of the tool. ``runs_in``: the service or system it runs in.
    ``credentials``: where it took them from. ``app``: what the program calls itself (``AWS_SDK_UA_APP_ID``).
    """

    tool: str = UNKNOWN
    version: str = ""
    runs_in: str = ""
    credentials: str = ""
    app: str = ""

    def as_data(self) -> dict[str, str]:
        """The members that are known."""
        return {name: value for name, value in asdict(self).items() if value}

    def __str__(self) -> str:
        named = f"{self.tool} {self.version}".strip()
        its = f"{named} as {self.app}" if self.app and named else named or self.app
        inside = self.runs_in if self.runs_in != self.tool else ""
        return f"{its} in {inside}" if its and inside else its or inside


def read_user_agent(text: str) -> UserAgent:
    """What the ``userAgent`` of an event says. Empty for a text that no rule knows."""
    text = text[:_LONGEST].strip().removeprefix("[").removesuffix("]").strip()
    server = _SERVER.match(text)
    if _CONSOLE.match(text) or (server and "console" in server[1].lower()):
        return UserAgent(CONSOLE)
    if _SERVICE.fullmatch(text) or _INTERNAL.match(text):
        return UserAgent(AWS_SERVICE)
    if libs3 := _LIBS3.match(text):
        text = f"{libs3[1]} libs3/{libs3[2]}"
    parts = [part for part in _PART.findall(text) if not part.startswith("(")]
    tool, version = _tool(parts)
    return UserAgent(tool, version, _runs_in(parts, tool), _credentials(parts), _after("app/", parts))


def _tool(parts: list[str]) -> tuple[str, str]:
    if any(part.lower().startswith((_GITHUB, *_RUN)) for part in parts):
        return GITHUB, ""
    if parts[:2] == _S3_BROWSER.split():
        return _S3_BROWSER, _version(parts[2] if len(parts) > 2 else "")
    products = dict[str, str]()
    for part, following in zip(parts, [*parts[1:], ""], strict=False):
        name, _, version = part.partition("/")
        version = following if name.lower() in _BLANK and not version else version
        products.setdefault(name.lower(), version.partition("#")[0])
    for product, tool in _TOOLS.items():
        if product in products:
            return tool, "" if tool in _WITHOUT_VERSION else _version(products[product])
    return (BROWSER, "") if "mozilla" in products else (UNKNOWN, "")


def _version(text: str) -> str:
    """What looks like a version; others say something else there."""
    found = _VERSION.match(text)
    return found[0][:_LONGEST_VERSION].rstrip(".") if found else ""


def _after(prefix: str, parts: list[str]) -> str:
    return next((part[len(prefix) :][:_LONGEST_VERSION] for part in parts if part.startswith(prefix)), "")


def _runs_in(parts: list[str], tool: str) -> str:
    """``exec-env/``, or its value alone, as the SDK for PHP writes it. GitHub's action runs nowhere else."""
    where = _after("exec-env/", parts) or next((part for part in parts if part.startswith("AWS_")), "")
    return next((name for begin, name in _RUNS_IN.items() if where.startswith(begin)), "") or (
        GITHUB if tool == GITHUB else ""
    )


def _credentials(parts: list[str]) -> str:
    """Unknown where the letters tell of two ways: one of them may be an earlier client's."""
    letters = [letter for part in parts if part.startswith("m/") for letter in part[2:].split(",")]
    ways = {CREDENTIAL_SOURCES[letter] for letter in letters if letter in CREDENTIAL_SOURCES}
    return ways.pop() if len(ways) == 1 else ""

# SPDX-License-Identifier: Apache-2.0
"""Which tool a user agent names, where that runs, and where it took its credentials, as the tool itself reports. Pure.

A caller can send any text, so this is a claim. What no rule knows stays unknown. Sources: AWS SDKs write
``name/version ua/2.1 os/... lang/... md/... exec-env/... m/...`` (botocore/useragent.py of botocore 1.43, and its
counterparts in other languages); "CloudTrail record contents", ``userAgent`` (CloudTrail User Guide).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

#: Characters of a user agent that are read. CloudTrail keeps 1 KB.
_LONGEST = 2_000
UNKNOWN = ""
#: Tools that are not named by a library: what they are is decided by these names.
GITHUB, CONSOLE, BROWSER, AWS_SERVICE = "GitHub Actions", "AWS console", "browser", "AWS service"
#: Those that a person uses.
OF_PEOPLE = frozenset({CONSOLE, BROWSER})

#: Where credentials come from, by the letter behind ``m/`` (``_USERAGENT_FEATURE_MAPPINGS``, botocore 1.43). Letters that
#: say by which way a profile found them count before those that say that there was a profile.
CREDENTIAL_SOURCES: Mapping[str, str] = {
    "e": "passed in code",
    "g": "environment variables",
    "h": "environment variables for a web identity",
    "k": "a web identity",
    "i": "an assumed role",
    "n": "a profile in the shared files",
    "o": "a profile in the shared files",
    "p": "a profile in the shared files",
    "q": "a web identity",
    "r": "IAM Identity Center",
    "s": "IAM Identity Center",
    "t": "IAM Identity Center",
    "u": "IAM Identity Center",
    "v": "a credential process",
    "w": "a credential process",
    "x": "the configuration file of boto2",
    "z": "a container's endpoint",
    "0": "the instance's metadata",
    "AC": "aws login",
    "AD": "aws login",
}
#: Of several letters, the first of these is the origin of the key; the others are what was made of it.
_ORDER = ("e", "g", "v", "w", "x", "n", "p", "o", "0", "z", "r", "s", "t", "u", "AC", "AD", "h", "q", "k", "i")

#: The beginning of ``exec-env/`` -> where it runs (``AWS_EXECUTION_ENV`` in the guides of these services).
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
}
#: Product in a user agent, in lower case -> the tool's name. The first product of this table that a user agent has, in
#: the table's order, is the tool: Terraform calls by the SDK for Go, and the AWS CLI by botocore.
_TOOLS: Mapping[str, str] = {
    "terraform": "Terraform",
    "opentofu": "OpenTofu",
    "terraform-provider-aws": "Terraform",
    "pulumiaws": "Pulumi",
    "pulumi": "Pulumi",
    "aws-cdk": "AWS CDK",
    "cdk": "AWS CDK",
    "aws-sam-cli": "AWS SAM CLI",
    "samcli": "AWS SAM CLI",
    "serverless": "Serverless Framework",
    "ansible": "Ansible",
    "ansible-collection": "Ansible",
    "packer": "Packer",
    "vault": "Vault",
    "crossplane-provider-aws": "Crossplane",
    "eksctl": "eksctl",
    "steampipe": "Steampipe",
    "prowler": "Prowler",
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
    "curl": "curl",
    "python-requests": "requests, a library for Python",
    "postmanruntime": "Postman",
    "go-http-client": "a program in Go",
}
#: A product with its version, or what of it ends at a blank, a bracket or the end.
_PRODUCT = re.compile(r"(?<![\w./#+-])([A-Za-z][\w.+-]{0,60})(?:/([\w.+~-]{0,60}))?")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")
_FEATURES = re.compile(r"(?<!\S)m/([A-Za-z0-9+,-]{1,200})")
_EXEC_ENV = re.compile(r"(?:exec-env/|exec_env/|exec-env#)([\w.+-]{1,100})")
_GITHUB = re.compile(r"configure-aws-credentials|md/(?:action|run_id)#|exec-env/GitHub", re.IGNORECASE)


@dataclass(frozen=True)
class UserAgent:
    """What a user agent says; a member is empty where it says nothing that is known.

    ``tool``: its name for people. ``version``: of the tool. ``runs_in``: the service or system it runs in.
    ``credentials``: where it took them from.
    """

    tool: str = UNKNOWN
    version: str = ""
    runs_in: str = ""
    credentials: str = ""

    def as_data(self) -> dict[str, str]:
        """The members that are known."""
        return {name: value for name, value in asdict(self).items() if value}

    def __str__(self) -> str:
        named = f"{self.tool} {self.version}".strip()
        inside = self.runs_in if self.runs_in != self.tool else ""
        return f"{named} in {inside}" if named and inside else named or inside


def read_user_agent(text: str) -> UserAgent:
    """What the ``userAgent`` of an event says. Empty for a text that no rule knows."""
    text = text[:_LONGEST].strip().strip("[]").strip()
    if _SERVICE.fullmatch(text):
        return UserAgent(CONSOLE if text in _CONSOLES else AWS_SERVICE)
    tool, version = _tool(text)
    return UserAgent(tool, version, _runs_in(text), _credentials(text))


#: Names that the console gives itself ("AWS Management Console sign-in events", and events of services' consoles).
_CONSOLES = frozenset({"console.amazonaws.com", "signin.amazonaws.com", "console.ec2.amazonaws.com"})
_CONSOLE_TEXTS = ("aws console", "awsconsole", "aws-console", "s3console", "console.amazonaws.com")


def _tool(text: str) -> tuple[str, str]:
    lower = text.lower()
    if lower.startswith(_CONSOLE_TEXTS):
        return CONSOLE, ""
    if "aws-internal/" in lower or lower in ("aws internal", "aws-internal"):
        return AWS_SERVICE, ""
    products = {name.lower(): version or "" for name, version in reversed(_PRODUCT.findall(text))}
    if _GITHUB.search(text):
        return GITHUB, ""
    for product, tool in _TOOLS.items():
        if product in products:
            return tool, _version(products[product])
    if "windowspowershell" in lower or "awspowershell" in lower:
        return "AWS Tools for PowerShell", ""
    return (BROWSER, "") if products.get("mozilla") else (UNKNOWN, "")


def _version(text: str) -> str:
    """A version begins with a digit; others say what it is that calls."""
    return text.rstrip(".,;") if text[:1].isdigit() else ""


def _runs_in(text: str) -> str:
    if _GITHUB.search(text):
        return GITHUB
    found = _EXEC_ENV.search(text)
    if not found:
        return ""
    return next((name for begin, name in _RUNS_IN.items() if found[1].startswith(begin)), "")


def _credentials(text: str) -> str:
    letters = {letter for found in _FEATURES.findall(text) for letter in found.split(",")}
    return next(_sources(letters), "")


def _sources(letters: set[str]) -> Iterator[str]:
    return (CREDENTIAL_SOURCES[letter] for letter in _ORDER if letter in letters)

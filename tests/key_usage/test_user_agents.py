# SPDX-License-Identifier: Apache-2.0
"""What user agents say, by forms that SDKs, tools and services write."""

from __future__ import annotations

import pytest
from botocore import useragent

from c7n_iamusers.key_usage.user_agents import (
    AWS_SERVICE,
    BROWSER,
    CONSOLE,
    CREDENTIAL_SOURCES,
    GITHUB,
    UserAgent,
    read_user_agent,
)

#: botocore 1.43 names each way to find credentials with one of these words.
_WORDS = {
    "passed in code": "CODE",
    "from environment variables": "ENV_VARS",
    "from a profile in the shared files": "PROFILE",
    "from a credential process": "PROCESS",
    "of an assumed role": ("STS_ASSUME_ROLE", "PROFILE_SOURCE_PROFILE", "PROFILE_NAMED_PROVIDER"),
    "of a role by web identity": "WEB_ID",
    "from IAM Identity Center": "SSO",
    "from aws login": "LOGIN",
    "from boto's configuration file": "BOTO2",
    "from a container's endpoint": "HTTP",
    "from the instance's metadata": "IMDS",
}


def test_letters_of_credentials_are_those_of_the_installed_botocore() -> None:
    found = {
        letter: name.removeprefix("CREDENTIALS_")
        for name, letter in vars(useragent)["_USERAGENT_FEATURE_MAPPINGS"].items()
        if name.startswith("CREDENTIALS_")
    }
    assert CREDENTIAL_SOURCES.keys() == found.keys()
    for letter, name in found.items():
        words = _WORDS[CREDENTIAL_SOURCES[letter]]
        assert any(word in name for word in ([words] if isinstance(words, str) else words)), (letter, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "[aws-cli/1.11.10 Python/2.7.8 Linux/3.2.45-0.6.wd.865.49.315.metal1.x86_64 botocore/1.4.67]",
            UserAgent("AWS CLI", "1.11.10"),
            id="s3-writes-brackets",
        ),
        pytest.param(
            "aws-cli/2.13.5 Python/3.11.4 Linux/4.14.255 exec-env/CloudShell exe/x86_64.amzn.2 prompt/off "
            "command/iam.create-role",
            UserAgent("AWS CLI", "2.13.5", "AWS CloudShell"),
            id="cli-2",
        ),
        pytest.param(
            "Boto3/1.34.11 md/Botocore#1.34.11 ua/2.0 os/macos#22.6.0 md/arch#x86_64 lang/python#3.11.4 "
            "md/pyimpl#CPython m/Z,b,e cfg/retry-mode#legacy Botocore/1.34.11",
            UserAgent("boto3", "1.34.11", credentials="passed in code"),
            id="boto3",
        ),
        pytest.param(
            "Boto3/1.18.36 Python/3.7.11 Linux/4.14.243 exec-env/AWS_Lambda_python3.7 Botocore/1.21.36",
            UserAgent("boto3", "1.18.36", "AWS Lambda"),
            id="boto3-in-lambda",
        ),
        pytest.param(
            "APN/1.0 HashiCorp/1.0 Terraform/1.3.7 (+https://www.terraform.io) terraform-provider-aws/5.57.0 "
            "(+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.30.1 os/linux lang/go#1.22.4",
            UserAgent("Terraform", "1.3.7"),
            id="terraform",
        ),
        pytest.param(
            "APN/1.0 HashiCorp/1.0 Terraform/1.0.5 (+https://www.terraform.io) aws-sdk-go/1.40.29 (go1.16; linux; "
            "amd64) crossplane-provider-jet-aws/v0.4.0-30.g2f6b907c.dirty",
            UserAgent("Crossplane", "v0.4.0-30.g2f6b907c.dirty"),
            id="crossplane-by-terraform",
        ),
        pytest.param(
            "APN/1.0 Pulumi/1.0 PulumiAwsNative/1.12, aws-sdk-go-v2/1.9.0 os/macos lang/go/1.17.1",
            UserAgent("Pulumi"),
            id="pulumi",
        ),
        pytest.param(
            "aws-sdk-nodejs/2.1586.0 linux/v20.15.1 aws-cdk/2.135.0 promise",
            UserAgent("AWS CDK", "2.135.0"),
            id="cdk",
        ),
        pytest.param(
            "aws-sdk-nodejs/2.1112.0 linux/v20.19.0 configure-aws-credentials-for-github-actions promise",
            UserAgent(GITHUB, runs_in=GITHUB),
            id="github",
        ),
        pytest.param(
            "aws-cli/2.17.9 Python/3.12 exec-env/GitHubActions",
            UserAgent("AWS CLI", "2.17.9", GITHUB),
            id="cli-in-github",
        ),
        pytest.param(
            "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.666]", UserAgent(CONSOLE), id="s3-console"
        ),
        pytest.param(
            "EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.12", UserAgent(CONSOLE), id="ec2-console"
        ),
        pytest.param(
            "RDS Console, aws-internal/3 aws-sdk-java/1.11.975", UserAgent(CONSOLE), id="rds-console"
        ),
        pytest.param(
            "aws-sdk-php/3.337.3 ua/2.1 lang/php#8.2.28 AWS_ECS_FARGATE m/D,g GuzzleHttp/7",
            UserAgent("AWS SDK for PHP", "3.337.3", "Amazon ECS", "from environment variables"),
            id="php-writes-the-bare-value",
        ),
        pytest.param("signin.amazonaws.com", UserAgent(CONSOLE), id="sign-in"),
        pytest.param("cloudformation.amazonaws.com", UserAgent(AWS_SERVICE), id="service"),
        pytest.param("AWS Internal", UserAgent(AWS_SERVICE), id="internal"),
        pytest.param("Coral/Netty4", UserAgent(AWS_SERVICE), id="coral"),
        pytest.param(
            "[Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0]",
            UserAgent(BROWSER),
            id="browser",
        ),
        pytest.param("rclone/v1.65.0", UserAgent("rclone", "v1.65.0"), id="version-with-v"),
        pytest.param(
            "MinIO (linux; amd64) minio-go/v7.0.63 mc/RELEASE.2023-09-29T16-41-22Z",
            UserAgent("MinIO client", "RELEASE.2023-09-29T16-41-22Z"),
            id="version-of-minio",
        ),
        pytest.param(
            "S3 Browser 9.5.5 https://s3browser.com", UserAgent("S3 Browser", "9.5.5"), id="words-with-blanks"
        ),
        pytest.param(
            "aws-sdk-java/unknown-version", UserAgent("AWS SDK for Java"), id="what-is-no-version-is-none"
        ),
        pytest.param(
            "aws-sdk-rust/1.3.14 os/linux lang/rust/1.94.1 app/billing-export",
            UserAgent("AWS SDK for Rust", "1.3.14", app="billing-export"),
            id="name-of-the-program",
        ),
        pytest.param(
            "aws-sdk-js/3.7 m/E,T,i,o",
            UserAgent("AWS SDK for JavaScript", "3.7", credentials="of an assumed role"),
            id="two-letters-of-one-way",
        ),
        pytest.param("Boto3/1.40 m/e,g", UserAgent("boto3", "1.40"), id="two-ways-are-unknown"),
        pytest.param("Boto3/1.40 m/Q9,??", UserAgent("boto3", "1.40"), id="letters-that-nobody-knows"),
        pytest.param(
            "Mozilla/4.0 (Compatible; WinSCP/5.21.3; libs3 4.1; Windows)",
            UserAgent("WinSCP", "5.21.3"),
            id="a-program-with-libs3-is-no-browser",
        ),
        pytest.param(
            "Mozilla/4.0 (Compatible; my-backup; libs3 2.0; Linux x86_64)",
            UserAgent("libs3", "2.0"),
            id="libs3",
        ),
        pytest.param(
            "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1237",
            UserAgent("PowerShell", "5.1.19041.1237"),
            id="a-script-in-powershell-is-no-browser",
        ),
        pytest.param(
            "Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.19045; en-US) PowerShell/7.4.1",
            UserAgent("PowerShell", "7.4.1"),
            id="powershell-7",
        ),
        pytest.param(
            "MyApp, Hadoop 3.3.6, aws-sdk-java/1.12.565 Linux/5.10 OpenJDK_64-Bit_Server_VM/11.0.20",
            UserAgent("Hadoop", "3.3.6"),
            id="hadoop",
        ),
        pytest.param(
            "Hadoop 3.4.1 aws-sdk-java/2.29.52 md/io#sync ua/2.1 lang/java#11 m/D,e",
            UserAgent("Hadoop", "3.4.1", credentials="passed in code"),
            id="hadoop-by-java-2",
        ),
        pytest.param("Hadoop", UserAgent("Hadoop"), id="hadoop-alone"),
        pytest.param("duckdb/v1.1.3(linux_amd64)", UserAgent("DuckDB", "v1.1.3"), id="duckdb"),
        pytest.param(
            "Boto3/1.34.11 md/Botocore#1.34.11 ua/2.0 os/linux awswrangler/3.5.0",
            UserAgent("AWS SDK for pandas", "3.5.0"),
            id="awswrangler",
        ),
        pytest.param(
            "Boto3/1.40.1 ua/2.1 m/D,g APN_1826889",
            UserAgent("Prowler", "", "", "from environment variables"),
            id="prowler",
        ),
        pytest.param("aws-fluent-bit-plugin", UserAgent("Fluent Bit"), id="fluent-bit"),
        pytest.param("aws-fluent-bit-plugin-windows", UserAgent("Fluent Bit"), id="fluent-bit-on-windows"),
        pytest.param("Mozilla/5.0 Hadoopish 3.1", UserAgent(BROWSER), id="a-part-of-a-word-is-no-tool"),
        pytest.param("PythonConsole/1.2", UserAgent(), id="no-console"),
        pytest.param("my-boto3-tool/3", UserAgent(), id="a-part-of-a-name-is-no-tool"),
        pytest.param("x(Boto3/1.2)", UserAgent(), id="a-comment-is-no-tool"),
        pytest.param("", UserAgent(), id="none"),
        pytest.param("[]", UserAgent(), id="empty"),
        pytest.param("a" * 300_000 + " Boto3/1", UserAgent(), id="long"),
    ],
)
def test_what_a_user_agent_says(text: str, expected: UserAgent) -> None:
    assert read_user_agent(text) == expected


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        (UserAgent(), ""),
        (UserAgent("boto3", "1.34"), "boto3 1.34"),
        (UserAgent("boto3", "1.34", "AWS Lambda", app="x"), "boto3 1.34 as x in AWS Lambda"),
        (UserAgent(GITHUB, runs_in=GITHUB), GITHUB),
        (UserAgent(runs_in="Amazon ECS"), "Amazon ECS"),
        (UserAgent(app="x"), "x"),
    ],
)
def test_in_words(agent: UserAgent, text: str) -> None:
    assert str(agent) == text
    assert agent.as_data() == {key: value for key, value in vars(agent).items() if value}

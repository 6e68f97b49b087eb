# SPDX-License-Identifier: Apache-2.0
"""The CloudFormation templates of a workspace. None needs parameters: the answers are in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from c7n_iamusers_cli.init.plan import (
    CENTER_READER,
    DEPLOYER,
    MAILER,
    ON_CALL,
    PROVISIONER,
    QUEUE,
    READER,
    REALTIME_QUEUE,
    REMOVER,
    RESTORER,
    RUNNER,
    Plan,
)
from c7n_iamusers_cli.init.questions import parts
from c7n_iamusers_cli.policies import loaded
from c7n_iamusers_cli.role_documents import documents_of
from c7n_iamusers_cli.shipped import shipped

if TYPE_CHECKING:
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.roles.documents import RoleDocument

#: The names of the stacks, and of the stack set.
MEMBERS, RUNNERS, CENTER, REALTIME_STACK = (
    "iam-users-members",
    "iam-users-runner",
    "iam-users-identity-center",
    "iam-users-realtime",
)
#: Days for which nobody can delete what runs leave, and who may nevertheless: whoever may bypass it.
_LOCKED = {"Mode": "GOVERNANCE", "Days": 400}
#: What an administrator of the account, and nobody else, decides about its key; IAM policies say who uses it.
_KEY_OWNER = {
    "Effect": "Allow",
    "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
    "Action": "kms:*",
    "Resource": "*",
}
_DELIVERS = "mail-key"
Template = dict[str, Any]


@dataclass
class Stacks:
    """Makes the templates. ``directory``: has the policies. ``values``: of its accounts file."""

    plan: Plan
    directory: Path
    values: AccountValues
    _loaded: dict[str, Sequence[Any]] = field(default_factory=dict)

    def templates(self) -> Iterator[tuple[str, str]]:
        """The path and the text of each file."""
        yield f"stacks/{MEMBERS}.json", _text(self._members())
        yield f"stacks/{RUNNERS}.json", _text(self._runner())
        if center := self._center():
            yield f"stacks/{CENTER}.json", _text(center)
        if self._realtime:
            yield f"stacks/{REALTIME_STACK}.json", _text(self._of_functions())

    @property
    def _realtime(self) -> list[str]:
        return [f"{each}.yml" for each in ("realtime", "realtime-quarantine") if self._has(f"{each}.yml")]

    def _has(self, name: str) -> bool:
        return (self.directory / "policies" / name).is_file()

    def _files(self, *names: str) -> list[Sequence[Any]]:
        """The policies of each file that is there."""
        for name in names:
            if name not in self._loaded and self._has(name):
                self._loaded[name] = loaded(self.directory / "policies" / name)
        return [self._loaded[name] for name in names if name in self._loaded]

    @property
    def _asking(self) -> list[Sequence[Any]]:
        return self._files("flag-and-notify.yml", "remind.yml", "attempts.yml", "your-access.yml")

    @property
    def _reading(self) -> list[Sequence[Any]]:
        return [*self._asking, *self._files("provision-intents.yml")]

    @property
    def _removing(self) -> list[Sequence[Any]]:
        return self._files("brownout.yml", "listen.yml", "quarantine.yml", "delete.yml", "keys.yml")

    @property
    def _releasing(self) -> list[Sequence[Any]]:
        return self._files("release.yml")

    def _documents(
        self, files: Sequence[Sequence[Any]], runners: Sequence[str], kind: str, center: str = "", **more: Any
    ) -> list[RoleDocument]:
        """The roles of a kind that the policies take."""
        from c7n_iamusers.roles.documents import RoleSettings

        plan = self.plan
        settings = RoleSettings(
            tuple(plan.role(plan.runner, each) for each in runners),
            READER,
            REMOVER,
            RESTORER,
            center=center or plan.role(plan.found.account, CENTER_READER),
            organization=plan.found.organization,
            deployer=DEPLOYER,
            mailer=plan.role(plan.runner, MAILER),
            instance=plan.center.arn if plan.center else "",
            identity_store=plan.center.store if plan.center else "",
        )
        outputs = [plan.output] if plan.output_bucket and kind.startswith("runner") else []
        found = documents_of(files, self.values, settings, outputs, setup=True, **more)
        return [each for each in found if each.kind.rstrip("-0123456789") == kind]

    def _members(self) -> Template:
        documents = [
            *self._documents(self._reading, (RUNNER, ON_CALL), "member-reader"),
            *self._documents(self._removing, (RUNNER,), "member-remover"),
            *self._documents(self._releasing, (ON_CALL,), "member-restorer", restore=True),
            *self._functions(),
        ]
        template = _roles("The roles of c7n-iamusers in each account", documents)
        if not self._realtime:
            return template
        plan = self.plan
        topic = f"arn:{plan.partition}:sns:{plan.home}:{plan.runner}:iam-users-alarms"
        alarms = _shipped("deploy/function-alarms.yml", {"AlarmTopicArn": topic})
        return {
            **template,
            "Parameters": alarms["Parameters"],
            "Resources": {**template["Resources"], **alarms["Resources"]},
        }

    def _functions(self) -> list[RoleDocument]:
        files = self._files(*self._realtime)
        kinds = ("function", "deployer") if files else ()
        return [each for kind in kinds for each in self._documents(files, (RUNNER,), kind)]

    def _center(self) -> Template | None:
        if not self.plan.center:
            return None
        documents = self._documents([*self._asking, *self._removing], (RUNNER, ON_CALL), "identity-center")
        if self.plan.provisions:
            provisioner = self.plan.role(self.plan.found.account, PROVISIONER)
            files = self._files("provision-intents.yml")
            documents += self._documents(files, (RUNNER,), "identity-center", provisioner, undo=True)
        return _roles("The roles of c7n-iamusers for IAM Identity Center", documents)

    def _runner(self) -> Template:
        """The shipped template of the runner's account, with policies, c7n-mailer's role, a key and a bucket."""
        plan = self.plan
        provisioner = plan.role(plan.found.account, PROVISIONER) if plan.provisions else ""
        template = _shipped(
            "deploy/runner.yml",
            {
                "Operators": ",".join(parts(plan.answers["operators"])),
                "OnCall": ",".join(parts(plan.answers["on-call"])),
                "QueueName": QUEUE,
                "NoticesBucket": plan.notices_bucket,
                "ProvisionerRoleArn": provisioner,
            },
        )
        resources = template["Resources"]
        functions = self._files(*self._realtime)
        (runner,) = self._documents([*self._reading, *self._removing, *functions], (RUNNER,), "runner")
        (on_call,) = self._documents([*self._reading, *self._releasing], (ON_CALL,), "runner")
        resources |= {
            "RunnerPolicy": _policy("Runner", "c7n-iamusers", runner.policy["Statement"]),
            "OnCallPolicy": _policy("OnCallRole", "c7n-iamusers", on_call.policy["Statement"]),
            "MailerRole": _role(self._mailer()),
            "NoticesPolicy": {**_tls_only("Notices"), "Condition": "HasBucket"},
            **_key(),
        }
        for queue in ("MailQueue", "Unsent"):
            del resources[queue]["Properties"]["SqsManagedSseEnabled"]
            resources[queue]["Properties"]["KmsMasterKeyId"] = {"Fn::GetAtt": ["MailKey", "Arn"]}
        if plan.output_bucket:
            resources |= _deletions(plan)
        if plan.makes_bucket:
            resources |= _output_bucket(plan)
        return template

    def _mailer(self) -> RoleDocument:
        from c7n_iamusers.notices.mailer_needs import mailer_needs
        from c7n_iamusers.roles.documents import MailerRole, trust_policy
        from c7n_iamusers_cli.mailer import mailer_config

        plan = self.plan
        needs = mailer_needs(mailer_config(self.directory / "mailer.yml"), plan.runner, plan.partition)
        operators = parts(plan.answers["operators"])
        role = MailerRole(plan.role(plan.runner, MAILER), operators[0], needs, setup=True)
        return replace(role.document(), trust=trust_policy(operators))

    def _of_functions(self) -> Template:
        """The bucket and the queue of functions in member accounts, with the policies that let in their roles alone."""
        from c7n_iamusers.roles.rendering import CLOUDFORMATION, rendered_resource_policy
        from c7n_iamusers.roles.resource_policies import Trusted, resource_policies

        plan = self.plan
        given = {
            "BucketName": plan.realtime_bucket,
            "QueueName": REALTIME_QUEUE,
            "OrganizationId": plan.found.organization,
            "AlarmTo": plan.contact,
        }
        template = _shipped("deploy/realtime.yml", given)
        trusted = Trusted(plan.found.organization, ())
        for each in resource_policies(self._functions(), trusted):
            (resource,) = rendered_resource_policy(each, CLOUDFORMATION)["Resources"].values()
            of = "Bucket" if each.kind.startswith("bucket") else "Queue"
            template["Resources"][f"{of}PolicyOfFunctions"] = {**resource, "DependsOn": of}
        return template


def _text(template: Template) -> str:
    """As short as a template is, which may have 51,200 bytes, and one line for each resource and part of one."""
    return json.dumps(template, indent=1) + "\n"


def _roles(description: str, documents: Iterable[RoleDocument]) -> Template:
    found = {_logical(each): _role(each) for each in documents}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Description": description, "Resources": found}


def _logical(role: RoleDocument) -> str:
    return "".join(filter(str.isalnum, role.name))


def _role(role: RoleDocument) -> Template:
    from c7n_iamusers.roles.rendering import CLOUDFORMATION, rendered_role

    (found,) = rendered_role(role, CLOUDFORMATION)["Resources"].values()
    return dict(found)


def _policy(role: str, name: str, statements: Sequence[Any]) -> Template:
    document = {"Version": "2012-10-17", "Statement": [*statements]}
    properties = {"PolicyName": name, "Roles": [{"Ref": role}], "PolicyDocument": document}
    return {"Type": "AWS::IAM::Policy", "Properties": properties}


def _key() -> Template:
    """The key of the queues, and who may use it: messages have people's names and addresses."""
    arn = {"Fn::GetAtt": ["MailKey", "Arn"]}
    sends = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": arn}
    takes = {**sends, "Action": ["kms:Decrypt"]}
    key = {
        "Description": "Encrypts the queue of c7n-mailer",
        "EnableKeyRotation": True,
        "KeyPolicy": {"Version": "2012-10-17", "Statement": [_KEY_OWNER]},
    }
    return {
        "MailKey": {"Type": "AWS::KMS::Key", "Properties": key},
        "RunnerKey": _policy("Runner", _DELIVERS, [sends]),
        "OnCallKey": _policy("OnCallRole", _DELIVERS, [sends]),
        "MailerKey": _policy("MailerRole", _DELIVERS, [takes]),
    }


def _output_bucket(plan: Plan) -> Template:
    """The bucket of snapshots, journals, records and receipts: nobody can change or delete what is in it.

    Object Lock holds for a whole bucket, so the notices, whose STOP is deleted again, have another one. A lock of a run
    that is deleted here only gets a marker.
    """
    properties = {
        "BucketName": plan.output_bucket,
        "VersioningConfiguration": {"Status": "Enabled"},
        "ObjectLockEnabled": True,
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": _LOCKED}},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        ),
    }
    bucket = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
    }
    return {"Output": {**bucket, "Properties": properties}, "OutputPolicy": _tls_only("Output")}


def _deletions(plan: Plan) -> Template:
    """What the runner deletes in the output: the lock of `provision`, and its list of who is to be added."""
    arn = f"arn:{plan.partition}:s3:::{plan.output_bucket}"
    ends = {
        "Effect": "Allow",
        "Action": "s3:DeleteObject",
        "Resource": [f"{arn}/*/identity-center-runs/.lock", f"{arn}/*/people-to-add.csv"],
    }
    return {"RunnerOutput": _policy("Runner", "output", [ends])}


def _tls_only(bucket: str) -> Template:
    arn = {"Fn::GetAtt": [bucket, "Arn"]}
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, {"Fn::Join": ["/", [arn, "*"]]}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": bucket}, "PolicyDocument": document},
    }


class _TemplateLoader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions, for templates that this package ships."""

    def function(self, name: str, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            value: Any = self.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = self.construct_sequence(node, deep=True)
        else:
            value = self.construct_mapping(node, deep=True)
        if name in ("Ref", "Condition"):
            return {name: value}
        return {f"Fn::{name}": value.split(".", 1) if name == "GetAtt" else value}


_TemplateLoader.add_multi_constructor("!", _TemplateLoader.function)


def _shipped(name: str, defaults: Mapping[str, str]) -> Template:
    """A template of this package, whose parameters have these defaults."""
    template: Template = yaml.load(shipped(name).read_text(), _TemplateLoader)
    for parameter, value in defaults.items():
        template["Parameters"][parameter]["Default"] = value
    return template

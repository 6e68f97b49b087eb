# SPDX-License-Identifier: Apache-2.0
"""Known ways to administrator rights: actions that together lead there, and the resources that they are used on. Pure.

Actions that only remove a Deny are left out, because no Deny counts here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from c7n_iamusers.policy_comparison.patterns import without_colons

#: The sources of the table, by title.
RHINO = "Rhino Security Labs: AWS IAM Privilege Escalation - Methods and Mitigation"
PATHFINDING = "pathfinding.cloud"
GUIDE = "IAM User Guide: Permissions boundaries for IAM entities"
HACKTRICKS = "HackTricks Cloud: AWS - IAM Privesc"
PRIVESC = "HackTricks Cloud: AWS - Privilege Escalation"
CENTER = "IAM Identity Center API Reference"
#: What takes a role, by the service's own reference, and runs what its caller chooses as that role.
API = "AWS API reference"
PROWLER = "Prowler: iam_policy_allows_privilege_escalation"


@dataclass(frozen=True)
class EscalationPath:
    """Actions that together lead to somebody else's rights, or to any. ``source``: a title, and the id in it."""

    actions: tuple[str, ...]
    source: str

    def __str__(self) -> str:
        return " with ".join(self.actions)


#: A combination of actions is left out if the table has a part of it.
_TABLE: tuple[tuple[str, str], ...] = (
    # IAM: any rights for oneself, for a role or group, or for what others may do
    (f"{PATHFINDING} iam-001", "iam:CreatePolicyVersion"),
    (RHINO, "iam:SetDefaultPolicyVersion"),
    (f"{PATHFINDING} iam-007", "iam:PutUserPolicy"),
    (f"{PATHFINDING} iam-008", "iam:AttachUserPolicy"),
    (f"{PATHFINDING} iam-011", "iam:PutGroupPolicy"),
    (f"{PATHFINDING} iam-010", "iam:AttachGroupPolicy"),
    (f"{PATHFINDING} iam-013", "iam:AddUserToGroup"),
    (f"{PATHFINDING} iam-005", "iam:PutRolePolicy"),
    (f"{PATHFINDING} iam-009", "iam:AttachRolePolicy"),
    (f"{PATHFINDING} iam-012", "iam:UpdateAssumeRolePolicy"),
    (GUIDE, "iam:DeleteUserPermissionsBoundary"),
    (GUIDE, "iam:PutUserPermissionsBoundary"),
    (GUIDE, "iam:DeleteRolePermissionsBoundary"),
    (GUIDE, "iam:PutRolePermissionsBoundary"),
    # credentials of somebody else
    (f"{PATHFINDING} iam-002", "iam:CreateAccessKey"),
    (f"{PATHFINDING} iam-004", "iam:CreateLoginProfile"),
    (f"{PATHFINDING} iam-006", "iam:UpdateLoginProfile"),
    (HACKTRICKS, "iam:UpdateAccessKey"),
    (HACKTRICKS, "iam:UpdateSAMLProvider"),
    (HACKTRICKS, "iam:UpdateOpenIDConnectProviderThumbprint"),
    (f"{PATHFINDING} sts-001", "sts:AssumeRole"),
    ("AWS STS API Reference: AssumeRoot", "sts:AssumeRoot"),
    # access through Identity Center, in its own account
    (f"{CENTER}: CreateAccountAssignment", "sso:CreateAccountAssignment"),
    (f"{CENTER}: AttachManagedPolicyToPermissionSet", "sso:AttachManagedPolicyToPermissionSet"),
    (f"{CENTER}: PutInlinePolicyToPermissionSet", "sso:PutInlinePolicyToPermissionSet"),
    (
        f"{CENTER}: AttachCustomerManagedPolicyReferenceToPermissionSet",
        "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
    ),
    (f"{CENTER}: PutPermissionsBoundaryToPermissionSet", "sso:PutPermissionsBoundaryToPermissionSet"),
    (
        f"{CENTER}: DeletePermissionsBoundaryFromPermissionSet",
        "sso:DeletePermissionsBoundaryFromPermissionSet",
    ),
    ("Identity Store API Reference: CreateGroupMembership", "identitystore:CreateGroupMembership"),
    (
        "Service Authorization Reference: AWS IAM Identity Center directory",
        "sso-directory:AddMemberToGroup",
    ),
    (f"{PRIVESC}: SSO & identitystore", "sso-directory:UpdatePassword"),
    # a role for something new that runs code
    (f"{PATHFINDING} apprunner-001", "iam:PassRole apprunner:CreateService"),
    (f"{PRIVESC}: API Gateway", "iam:PassRole apigateway:PUT apigateway:POST"),
    (
        f"{PRIVESC}: EC2",
        "iam:PassRole autoscaling:CreateLaunchConfiguration autoscaling:CreateAutoScalingGroup",
    ),
    (
        f"{PRIVESC}: EC2",
        "iam:PassRole autoscaling:CreateLaunchConfiguration autoscaling:UpdateAutoScalingGroup",
    ),
    (f"{PRIVESC}: EC2", "iam:PassRole ec2:CreateLaunchTemplate autoscaling:CreateAutoScalingGroup"),
    (f"{PRIVESC}: EC2", "iam:PassRole ec2:CreateLaunchTemplate autoscaling:UpdateAutoScalingGroup"),
    (f"{PATHFINDING} bedrock-001", "iam:PassRole bedrock-agentcore:CreateCodeInterpreter"),
    (
        PROWLER,
        "iam:PassRole bedrock-agentcore:CreateBrowser bedrock-agentcore:ConnectBrowserAutomationStream",
    ),
    (f"{PATHFINDING} braket-001", "iam:PassRole braket:CreateJob"),
    (f"{PATHFINDING} cloudformation-001", "iam:PassRole cloudformation:CreateStack"),
    (f"{PATHFINDING} cloudformation-003", "iam:PassRole cloudformation:CreateStackSet"),
    (f"{PATHFINDING} codebuild-001", "iam:PassRole codebuild:CreateProject"),
    (f"{PRIVESC}: CodeBuild", "iam:PassRole codebuild:UpdateProject"),
    (f"{PRIVESC}: CodePipeline", "iam:PassRole codepipeline:CreatePipeline"),
    (RHINO, "iam:PassRole codestar:CreateProject"),
    (f"{PATHFINDING} cognitoidentity-001", "iam:PassRole cognito-identity:SetIdentityPoolRoles"),
    (f"{PRIVESC}: Cognito", "iam:PassRole cognito-idp:CreateGroup"),
    (f"{PRIVESC}: Cognito", "iam:PassRole cognito-idp:UpdateGroup"),
    (f"{PATHFINDING} datapipeline-001", "iam:PassRole datapipeline:CreatePipeline"),
    (f"{PATHFINDING} ec2-001", "iam:PassRole ec2:RunInstances"),
    (f"{PATHFINDING} ec2-003", "iam:PassRole ec2:RequestSpotInstances"),
    (HACKTRICKS, "iam:PassRole ec2:AssociateIamInstanceProfile"),
    (f"{PRIVESC}: EC2", "iam:PassRole ec2:ReplaceIamInstanceProfileAssociation"),
    (f"{PRIVESC}: EC2", "iam:PassRole iam:AddRoleToInstanceProfile"),
    (f"{PATHFINDING} ecs-001", "iam:PassRole ecs:RegisterTaskDefinition"),
    (f"{PATHFINDING} ecs-008", "iam:PassRole ecs:RunTask"),
    (f"{PATHFINDING} ecs-009", "iam:PassRole ecs:StartTask"),
    (f"{PRIVESC}: Elastic Beanstalk", "iam:PassRole elasticbeanstalk:CreateEnvironment"),
    (f"{PATHFINDING} emr-001", "iam:PassRole elasticmapreduce:RunJobFlow"),
    (f"{PRIVESC}: EMR", "iam:PassRole elasticmapreduce:CreateEditor"),
    (
        f"{PATHFINDING} emrserverless-001",
        "iam:PassRole emr-serverless:CreateApplication emr-serverless:StartJobRun",
    ),
    (f"{PATHFINDING} gamelift-001", "iam:PassRole gamelift:CreateBuild gamelift:CreateFleet"),
    (f"{PATHFINDING} glue-001", "iam:PassRole glue:CreateDevEndpoint"),
    (f"{PATHFINDING} glue-003", "iam:PassRole glue:CreateJob"),
    (f"{PATHFINDING} glue-007", "iam:PassRole glue:CreateSession glue:RunStatement"),
    (f"{PATHFINDING} imagebuilder-001", "iam:PassRole imagebuilder:CreateInfrastructureConfiguration"),
    (
        f"{PATHFINDING} kinesisanalytics-001",
        "iam:PassRole kinesisanalytics:CreateApplication kinesisanalytics:StartApplication",
    ),
    (f"{PATHFINDING} lambda-001", "iam:PassRole lambda:CreateFunction"),
    (f"{PATHFINDING} omics-001", "iam:PassRole omics:CreateWorkflow omics:StartRun"),
    (f"{PATHFINDING} sagemaker-001", "iam:PassRole sagemaker:CreateNotebookInstance"),
    (f"{PATHFINDING} sagemaker-002", "iam:PassRole sagemaker:CreateTrainingJob"),
    (f"{PATHFINDING} sagemaker-003", "iam:PassRole sagemaker:CreateProcessingJob"),
    (f"{PRIVESC}: SageMaker", "iam:PassRole sagemaker:CreateHyperParameterTuningJob"),
    (f"{PATHFINDING} scheduler-001", "iam:PassRole scheduler:CreateSchedule"),
    (f"{PRIVESC}: EventBridge Scheduler", "iam:PassRole scheduler:UpdateSchedule"),
    (f"{PATHFINDING} ssm-003", "iam:PassRole ssm:StartAutomationExecution"),
    (f"{PATHFINDING} stepfunctions-001", "iam:PassRole states:CreateStateMachine states:StartExecution"),
    (f"{PRIVESC}: Step Functions", "iam:PassRole states:CreateStateMachine states:StartSyncExecution"),
    (f"{PRIVESC}: Step Functions", "iam:PassRole states:TestState"),
    (f"{API}: Amplify, CreateApp", "iam:PassRole amplify:CreateApp"),
    (f"{API}: Amazon MWAA, CreateEnvironment", "iam:PassRole airflow:CreateEnvironment"),
    (f"{API}: EMR on EKS, StartJobRun", "iam:PassRole emr-containers:StartJobRun"),
    (f"{API}: EventBridge, PutTargets", "iam:PassRole events:PutTargets"),
    (f"{API}: EventBridge Pipes, CreatePipe", "iam:PassRole pipes:CreatePipe"),
    (
        f"{API}: FIS, CreateExperimentTemplate",
        "iam:PassRole fis:CreateExperimentTemplate fis:StartExperiment",
    ),
    (f"{API}: CloudWatch Synthetics, CreateCanary", "iam:PassRole synthetics:CreateCanary"),
    # the role of something that already exists
    (f"{PATHFINDING} apprunner-002", "apprunner:UpdateService"),
    (f"{PATHFINDING} batch-002", "batch:SubmitJob"),
    (f"{PATHFINDING} bedrock-002", "bedrock-agentcore:InvokeCodeInterpreter"),
    (PROWLER, "bedrock-agentcore:InvokeAgentRuntimeCommand"),
    (
        PROWLER,
        "bedrock-agentcore:StartBrowserSession bedrock-agentcore:ConnectBrowserAutomationStream",
    ),
    (f"{PATHFINDING} cloudformation-002", "cloudformation:UpdateStack"),
    (f"{PRIVESC}: CloudFormation", "cloudformation:UpdateStackSet"),
    (f"{PATHFINDING} cloudformation-005", "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet"),
    (f"{PATHFINDING} codebuild-002", "codebuild:StartBuild"),
    (f"{PATHFINDING} codebuild-003", "codebuild:StartBuildBatch"),
    (
        f"{PRIVESC}: CodePipeline",
        "codebuild:UpdateProject codepipeline:UpdatePipeline codepipeline:StartPipelineExecution",
    ),
    (
        f"{PATHFINDING} codedeploy-001",
        "codedeploy:CreateDeployment codedeploy:RegisterApplicationRevision",
    ),
    (f"{PATHFINDING} ec2-002", "ec2:ModifyInstanceAttribute ec2:StopInstances ec2:StartInstances"),
    (f"{PATHFINDING} ec2-004", "ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate"),
    (f"{PATHFINDING} ec2instanceconnect-003", "ec2-instance-connect:SendSSHPublicKey"),
    (f"{PRIVESC}: EC2", "ec2-instance-connect:SendSerialConsoleSSHPublicKey"),
    (f"{PATHFINDING} ecs-006", "ecs:ExecuteCommand ecs:DescribeTasks"),
    (
        f"{PRIVESC}: ECS",
        "ecs:RegisterTaskDefinition ecs:CreateTaskSet ecs:UpdateServicePrimaryTaskSet",
    ),
    (f"{PATHFINDING} glue-002", "glue:UpdateDevEndpoint"),
    (f"{PRIVESC}: Glue", "glue:UpdateJob"),
    (f"{PATHFINDING} lambda-003", "lambda:UpdateFunctionCode"),
    (RHINO, "lambda:UpdateFunctionConfiguration"),
    (f"{PATHFINDING} sagemaker-004", "sagemaker:CreatePresignedNotebookInstanceUrl"),
    (f"{PRIVESC}: SageMaker", "sagemaker:CreatePresignedDomainUrl"),
    (
        f"{PATHFINDING} sagemaker-005",
        "sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:UpdateNotebookInstance",
    ),
    (f"{PATHFINDING} ssm-001", "ssm:StartSession"),
    (f"{PATHFINDING} ssm-002", "ssm:SendCommand"),
    (f"{PRIVESC}: SSM", "ssm:ResumeSession"),
    ("AWS Systems Manager API Reference: CreateAssociation", "ssm:CreateAssociation"),
    (
        f"{PRIVESC}: SSM",
        "ssm:RegisterTaskWithMaintenanceWindow ssm:RegisterTargetWithMaintenanceWindow",
    ),
    (f"{PRIVESC}: SSM", "ssm:UpdateDocument ssm:UpdateDocumentDefaultVersion"),
    (f"{PATHFINDING} stepfunctions-002", "states:UpdateStateMachine states:StartExecution"),
)
ESCALATION_PATHS = tuple(EscalationPath(tuple(actions.split()), source) for source, actions in _TABLE)
#: All actions of the table.
ALL_ESCALATING = frozenset(action for path in ESCALATION_PATHS for action in path.actions)


def in_any_partition(arn: str) -> str:
    """The pattern of ARNs like ``arn``, whose stars match no colon, in every partition."""
    return without_colons(arn.replace("arn:aws:", "arn:aws*:", 1))


#: The types of IAM resources whose policies, members and trust decide rights, in the partition ``aws``.
RIGHTS = tuple(f"arn:aws:iam::*:{each}/*" for each in ("user", "group", "role", "policy"))
_USERS, _GROUPS, _ROLES, _POLICIES = map(in_any_partition, RIGHTS)
_INSTANCES = in_any_partition("arn:aws:ec2:*:*:instance/*")
#: Action -> the types of its IAM resources, unless its service and name say them.
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"), _POLICIES),
    **dict.fromkeys(("iam:PutGroupPolicy", "iam:AttachGroupPolicy", "iam:AddUserToGroup"), _GROUPS),
    "iam:UpdateAssumeRolePolicy": _ROLES,
    "iam:UpdateSAMLProvider": in_any_partition("arn:aws:iam::*:saml-provider/*"),
    "iam:UpdateOpenIDConnectProviderThumbprint": in_any_partition("arn:aws:iam::*:oidc-provider/*"),
    "iam:AddRoleToInstanceProfile": in_any_partition("arn:aws:iam::*:instance-profile/*"),
    "sts:AssumeRole": _ROLES,
    "sts:AssumeRoot": in_any_partition("arn:aws:iam::*:root"),
}
#: Action -> types of resources of other services that it is used on (Service Authorization Reference). It needs nothing
#: else but resources that everybody has, such as documents of AWS.
_OF_OTHERS: Mapping[str, tuple[str, ...]] = {
    "ec2-instance-connect:SendSSHPublicKey": (_INSTANCES,),
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey": (_INSTANCES,),
    "ssm:CreateAssociation": (_INSTANCES,),
    "ssm:SendCommand": (_INSTANCES,),
    "ssm:StartSession": (_INSTANCES, in_any_partition("arn:aws:ecs:*:*:task/*")),
}


def _types_of(action: str) -> tuple[str, ...]:
    service, _, name = action.partition(":")
    if action in _TYPES:
        return (_TYPES[action],)
    if service == "iam":
        return (_ROLES if "Role" in name else _USERS,)
    return (f"{in_any_partition('arn:aws:')}{service}:*", *_OF_OTHERS.get(action, ()))


#: Action -> patterns of the ARNs that it is used on, in every partition.
TYPES: Mapping[str, tuple[str, ...]] = {action: _types_of(action) for action in ALL_ESCALATING}
#: Whoever has these on all of IAM is an administrator. iam:UpdateAccessKey needs a key that somebody already has.
DECISIVE = frozenset(
    action
    for action, types in TYPES.items()
    if action.startswith("iam:") and not {_USERS, _GROUPS, _ROLES, _POLICIES}.isdisjoint(types)
) - {"iam:UpdateAccessKey"}

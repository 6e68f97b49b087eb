# SPDX-License-Identifier: Apache-2.0
"""Which session tags are sure to carry the username of whoever signs in through Identity Center."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.retries import Backoff, is_missing
from c7n_iamusers.model.identity_center import Instance

#: The IAM action that asking needs.
PERMISSION = "sso:DescribeInstanceAccessControlAttributeConfiguration"
#: The source of an attribute that is the username (Identity Center User Guide, "Attributes for access control").
_USERNAME = ["${path:userName}"]


def username_tags(client: Any, instance: Instance, backoff: Backoff) -> frozenset[str]:
    """The keys of those tags, by ``client`` (sso-admin); none where the feature is off. Raises ClientError.

    What an external identity provider asserts beside these is known to nobody here, so it is not sure.
    """
    describe = client.describe_instance_access_control_attribute_configuration
    try:
        found = backoff.call(describe, InstanceArn=instance.arn)
    except ClientError as error:
        if not is_missing(error):
            raise
        return frozenset()
    if found.get("Status") != "ENABLED":
        return frozenset()
    configuration = found.get("InstanceAccessControlAttributeConfiguration") or {}
    attributes = configuration.get("AccessControlAttributes", ())
    return frozenset(str(each["Key"]) for each in attributes if each["Value"]["Source"] == _USERNAME)

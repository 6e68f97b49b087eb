# SPDX-License-Identifier: Apache-2.0
"""MFA devices. A virtual device exists on its own and is assigned to a user; any other exists only while assigned."""

from __future__ import annotations

import base64
import os
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from aws_local_org.errors import already_exists, delete_conflict, no_such_entity, quota_exceeded
from aws_local_org.iam.base import Response
from aws_local_org.iam.entities import MfaDevice, User, VirtualMfaDevice
from aws_local_org.iam.results import Listing, PlainResult
from aws_local_org.iam.users import listed_user

DEVICES_PER_USER = 8

_PNG = b"\x89PNG\r\n\x1a\n"


class MfaResponse(Response):
    """Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_EnableMFADevice.html and its siblings."""

    def create_virtual_mfa_device(self) -> ActionResult:
        path = self.params.get("Path") or "/"
        serial = (
            f"arn:{self.partition}:iam::{self.current_account}:mfa{path}{self.params['VirtualMFADeviceName']}"
        )
        if serial in self._virtual:
            raise already_exists("MFA device already exists.")
        self._virtual[serial] = VirtualMfaDevice(serial, tags=self.params.get("Tags") or [])
        seed = base64.b32encode(os.urandom(40))
        return PlainResult(
            {
                "VirtualMFADevice": {
                    "SerialNumber": serial,
                    "Base32StringSeed": seed,
                    "QRCodePNG": _PNG + os.urandom(64),
                }
            }
        )

    def enable_mfa_device(self) -> ActionResult:
        """Accepts any two codes of six digits: the seed is not kept."""
        user = self.backend.get_user(self.params["UserName"])
        serial = self.params["SerialNumber"]
        device = self._virtual.get(serial)
        if device is None and serial.startswith("arn:"):
            raise _unknown(serial)
        if self._owner(serial) is not None or (device and device.of_root):
            raise already_exists("MFA Device is already in use.")
        if len(user.mfa_devices) >= DEVICES_PER_USER:
            raise quota_exceeded("MFADevicesPerUser", DEVICES_PER_USER)
        assign(user, MfaDevice(serial, utcnow()), device)
        return EmptyResult()

    def deactivate_mfa_device(self) -> ActionResult:
        """A virtual device stays, unassigned, until DeleteVirtualMFADevice."""
        user = self.backend.get_user(self.params["UserName"])
        serial = self.params["SerialNumber"]
        if user.mfa_devices.pop(serial, None) is None:
            raise _unknown(serial)
        if device := self._virtual.get(serial):
            device.user, device.enable_date = None, None
        return EmptyResult()

    def resync_mfa_device(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        if self.params["SerialNumber"] not in user.mfa_devices:
            raise _unknown(self.params["SerialNumber"])
        return EmptyResult()

    def delete_virtual_mfa_device(self) -> ActionResult:
        """ "You must deactivate a user's virtual MFA device before you can delete it"."""
        serial = self.params["SerialNumber"]
        device = self._virtual.get(serial)
        if device is None:
            raise _unknown(serial)
        if device.enable_date is not None:
            raise delete_conflict("MFA VirtualDevice in use. Must deactivate first.")
        del self._virtual[serial]
        return EmptyResult()

    def list_mfa_devices(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult(
            {"MFADevices": Listing(user.mfa_devices.values(), lambda device: _assigned(user, device))}
        )

    def get_mfa_device(self) -> ActionResult:
        serial = self.params["SerialNumber"]
        user = self._owner(serial)
        if user is None or self.params.get("UserName") not in (None, user.name):
            raise _unknown(serial)
        return PlainResult(_assigned(user, user.mfa_devices[serial]))

    def list_virtual_mfa_devices(self) -> ActionResult:
        status = self.params.get("AssignmentStatus") or "Any"
        devices = [device for device in self._virtual.values() if status in ("Any", _assignment(device))]
        return PlainResult({"VirtualMFADevices": Listing(devices, self._virtual_shape)})

    @property
    def _virtual(self) -> dict[str, VirtualMfaDevice]:
        devices: Any = self.backend.virtual_mfa_devices
        return devices  # type: ignore[no-any-return]

    @property
    def _account_created(self) -> datetime:
        backend: Any = self.backend
        return backend.created  # type: ignore[no-any-return]

    def _owner(self, serial: str) -> User | None:
        return next((user for user in self.backend.users.values() if serial in user.mfa_devices), None)

    def _virtual_shape(self, device: VirtualMfaDevice) -> dict[str, Any]:
        holder: dict[str, Any] | None = listed_user(device.user) if device.user else None
        if device.of_root:  # the root user has an id and an ARN, and neither path nor name
            holder = {
                "UserId": self.current_account,
                "Arn": f"arn:{self.partition}:iam::{self.current_account}:root",
                "CreateDate": self._account_created,
            }
        return {"SerialNumber": device.serial_number, "EnableDate": device.enable_date, "User": holder}


def assign(user: User, device: MfaDevice, virtual: VirtualMfaDevice | None) -> None:
    """Assign a device to a user. virtual: the same device in the account's list, if it is a virtual one."""
    user.mfa_devices[device.serial_number] = device
    if virtual is not None:
        virtual.user, virtual.enable_date = user, device.enable_date


def _assignment(device: VirtualMfaDevice) -> str:
    return "Assigned" if device.enable_date else "Unassigned"


def _assigned(user: User, device: MfaDevice) -> dict[str, Any]:
    return {"UserName": user.name, "SerialNumber": device.serial_number, "EnableDate": device.enable_date}


def _unknown(serial: str) -> Exception:
    return no_such_entity(f"MFA Device with serial number {serial} does not exist.")

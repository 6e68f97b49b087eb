# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from aws_local_org.iam import seeding
from tests.local_org.iam.attachments import CODES
from tests.local_org.refusals import message, refusal

SERIAL = "arn:aws:iam::111122223333:mfa/ada"
HARDWARE = "GAHT12345678"


def virtual_devices(iam: Any, **options: Any) -> dict[str, str | None]:
    """Serial number -> the user that it is assigned to."""
    devices = iam.list_virtual_mfa_devices(**options)["VirtualMFADevices"]
    return {device["SerialNumber"]: device.get("User", {}).get("UserName") for device in devices}


@pytest.fixture
def device(iam: Any) -> str:
    """A virtual device assigned to ada, who exists beside bob."""
    for name in ("ada", "bob"):
        iam.create_user(UserName=name)
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="ada")["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(UserName="ada", SerialNumber=serial, **CODES)
    return str(serial)


def test_a_virtual_device_as_it_is_created(iam: Any) -> None:
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="ada", Path="/eng/")["VirtualMFADevice"]
    assert made["SerialNumber"] == "arn:aws:iam::111122223333:mfa/eng/ada"
    assert len(made["Base32StringSeed"]) == 64
    assert made["QRCodePNG"].startswith(b"\x89PNG")
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == [{"SerialNumber": made["SerialNumber"]}]


def test_a_name_is_taken_while_the_device_exists(iam: Any, device: str) -> None:
    again = {"VirtualMFADeviceName": "ada"}
    assert refusal(iam.create_virtual_mfa_device, **again) == ("EntityAlreadyExists", 409)
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=device)
    assert refusal(iam.create_virtual_mfa_device, **again) == ("EntityAlreadyExists", 409)
    iam.delete_virtual_mfa_device(SerialNumber=device)
    assert refusal(iam.create_virtual_mfa_device, **again) is None


def test_an_assigned_device_is_not_deleted(iam: Any, device: str) -> None:
    assert refusal(iam.delete_virtual_mfa_device, SerialNumber=device) == ("DeleteConflict", 409)
    conflict = "MFA VirtualDevice in use. Must deactivate first."
    assert message(iam.delete_virtual_mfa_device, SerialNumber=device) == conflict


def test_deactivating_leaves_an_orphan(iam: Any, device: str) -> None:
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=device)
    assert iam.list_mfa_devices(UserName="ada")["MFADevices"] == []
    assert virtual_devices(iam, AssignmentStatus="Unassigned") == {device: None}
    iam.delete_user(UserName="ada")
    assert virtual_devices(iam) == {device: None}


def test_listing_by_assignment(iam: Any, account: Any, device: str) -> None:
    iam.create_virtual_mfa_device(VirtualMFADeviceName="spare")
    seeding.add_root_mfa_device(account, account.created)
    spare, root = SERIAL.replace("ada", "spare"), SERIAL.replace("ada", "root-account-mfa-device")
    assert virtual_devices(iam, AssignmentStatus="Assigned") == {device: "ada", root: None}
    assert virtual_devices(iam, AssignmentStatus="Unassigned") == {spare: None}
    everything = {device: "ada", spare: None, root: None}
    assert virtual_devices(iam, AssignmentStatus="Any") == virtual_devices(iam) == everything
    assert refusal(iam.list_virtual_mfa_devices, AssignmentStatus="Lost") == ("ValidationError", 400)


def test_the_root_users_device_names_no_user(iam: Any, account: Any) -> None:
    seeding.add_root_mfa_device(account, account.created)
    (device,) = iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert set(device["User"]) == {"UserId", "Arn", "CreateDate"}
    assert device["User"]["Arn"] == "arn:aws:iam::111122223333:root"
    refused = refusal(iam.delete_virtual_mfa_device, SerialNumber=device["SerialNumber"])
    assert refused == ("DeleteConflict", 409)


def test_a_hardware_device_exists_only_while_assigned(iam: Any) -> None:
    iam.create_user(UserName="ada")
    assert refusal(iam.enable_mfa_device, UserName="ada", SerialNumber=HARDWARE, **CODES) is None
    (device,) = iam.list_mfa_devices(UserName="ada")["MFADevices"]
    assert (device["UserName"], device["SerialNumber"]) == ("ada", HARDWARE)
    assert virtual_devices(iam) == {}
    assert refusal(iam.delete_virtual_mfa_device, SerialNumber=HARDWARE) == ("NoSuchEntity", 404)
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=HARDWARE)
    assert iam.list_mfa_devices(UserName="ada")["MFADevices"] == []


@pytest.mark.parametrize(
    ("user", "serial", "codes", "expected"),
    [
        pytest.param("bob", SERIAL, CODES, ("EntityAlreadyExists", 409), id="in use by another"),
        pytest.param("ada", SERIAL, CODES, ("EntityAlreadyExists", 409), id="in use by oneself"),
        pytest.param("bob", f"{SERIAL}2", CODES, ("NoSuchEntity", 404), id="virtual but not created"),
        pytest.param(
            "bob",
            SERIAL.replace(":mfa/", ":u2f/user/"),
            CODES,
            ("NoSuchEntity", 404),
            id="FIDO, which has no API",
        ),
        pytest.param("nobody", HARDWARE, CODES, ("NoSuchEntity", 404), id="no such user"),
        pytest.param("bob", "short", CODES, ("ValidationError", 400), id="serial too short"),
        pytest.param(
            "bob",
            HARDWARE,
            {**CODES, "AuthenticationCode1": "12345"},
            ("ValidationError", 400),
            id="five digits",
        ),
        pytest.param(
            "bob",
            HARDWARE,
            {**CODES, "AuthenticationCode2": "12345a"},
            ("ValidationError", 400),
            id="a letter among the digits",
        ),
        pytest.param("bob", HARDWARE, CODES, None, id="a free hardware device"),
    ],
)
def test_enabling(
    iam: Any, device: str, user: str, serial: str, codes: dict[str, str], expected: tuple[str, int] | None
) -> None:
    assert device == SERIAL
    assert refusal(iam.enable_mfa_device, UserName=user, SerialNumber=serial, **codes) == expected


def test_eight_devices_a_user(iam: Any) -> None:
    iam.create_user(UserName="ada")
    for number in range(8):
        iam.enable_mfa_device(UserName="ada", SerialNumber=f"{HARDWARE}{number}", **CODES)
    ninth = {"UserName": "ada", "SerialNumber": f"{HARDWARE}8"}
    assert refusal(iam.enable_mfa_device, **ninth, **CODES) == ("LimitExceeded", 409)


def test_deactivating_what_is_not_there(iam: Any, device: str) -> None:
    assert refusal(iam.deactivate_mfa_device, UserName="bob", SerialNumber=device) == ("NoSuchEntity", 404)


def test_one_device_by_its_serial_number(iam: Any, device: str) -> None:
    assert iam.get_mfa_device(SerialNumber=device)["UserName"] == "ada"
    assert refusal(iam.get_mfa_device, SerialNumber=device, UserName="bob") == ("NoSuchEntity", 404)
    assert refusal(iam.resync_mfa_device, SerialNumber=device, UserName="ada", **CODES) is None
    assert refusal(iam.resync_mfa_device, SerialNumber=device, UserName="bob", **CODES) == (
        "NoSuchEntity",
        404,
    )

# SPDX-License-Identifier: Apache-2.0
"""Both stores keep the same contract."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from c7n.resources.aws import S3Output
from c7n.utils import parse_url_config

from aws_local_org import LocalOrg
from c7n_iamusers.execution import stores
from c7n_iamusers.execution.bucket_store import BucketStore, bucket_output
from c7n_iamusers.execution.stores import DirectoryStore, Store, open_appending, read_all, replace_all
from tests.execution.syncing import synced
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.gateway import FEW_FORMS, Gateway
from tests.unreadable import UNREADABLE, Lose, locked

ENCRYPTED = {"ServerSideEncryption": "AES256"}


@pytest.fixture
def s3(org: LocalOrg) -> Any:
    client = org.client("s3")
    client.create_bucket(Bucket="output")
    return client


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "output")
    # its forty tries are more than the writes of any test: each that is refused means that another was done
    backoff = Sleeps().backoff(budget=300)
    return BucketStore(request.getfixturevalue("s3"), "output", "here/", ENCRYPTED, backoff)


def test_content_beyond_the_limit_is_refused(store: Store) -> None:
    store.create("a", b"12345")
    assert store.read("a", largest=5) == b"12345"
    with pytest.raises(OSError, match=r"a has 5 bytes, and no run writes more than 4 there"):
        store.read("a", largest=4)


def test_created_content_can_be_read(store: Store) -> None:
    store.create("snapshots/alice.json", b"one")
    assert store.read("snapshots/alice.json") == b"one"


def test_a_missing_name_is_none(store: Store) -> None:
    assert store.read("snapshots/alice.json") is None


def test_create_never_overwrites(store: Store) -> None:
    store.create("a", b"one")
    with pytest.raises(FileExistsError):
        store.create("a", b"two")
    assert store.read("a") == b"one"


def test_replace_overwrites(store: Store) -> None:
    store.replace("a", b"one")
    store.replace("a", b"two")
    assert store.read("a") == b"two"


def test_update_gets_the_current_content(store: Store) -> None:
    found: list[bytes | None] = []

    def longer(content: bytes | None) -> bytes:
        found.append(content)
        return (content or b"") + b"x"

    for _ in range(3):
        store.update("a", longer)
    assert found == [None, b"x", b"xx"]
    assert store.read("a") == b"xxx"


def test_a_failing_update_changes_nothing(store: Store) -> None:
    def refusing(_: bytes | None) -> bytes:
        raise ValueError("not ours")

    store.replace("a", b"one")
    with pytest.raises(ValueError, match="not ours"):
        store.update("a", refusing)
    assert store.read("a") == b"one"


def test_no_update_of_several_writers_gets_lost(store: Store) -> None:
    def add(number: int) -> None:
        store.update("a", lambda content: (content or b"") + bytes([number]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert sorted(store.read("a") or b"") == list(range(24))


def test_names_are_those_that_begin_so(store: Store) -> None:
    for name in ("journal/2/alice.A.jsonl", "journal/1/bob.B.jsonl", "journals", "snapshots/a.json"):
        store.create(name, b"one")
    assert sorted(store.names("journal/")) == ["journal/1/bob.B.jsonl", "journal/2/alice.A.jsonl"]
    assert store.names("nothing/") == []


def test_what_is_directly_in_a_directory(store: Store) -> None:
    assert store.entries("") == store.entries("a/") == {}
    for name in ("STOP.txt", " stop", "a/b.json", "a/c/d.json"):
        store.create(name, b"one")
    assert set(store.entries("")) == {"STOP.txt", " stop", "a"}
    assert set(store.entries("a/")) == {"b.json", "c"}
    assert [name for name, version in store.entries("a/").items() if not version] == ["c"]


def test_a_directory_that_a_bucket_has_as_an_object_is_no_entry_of_itself(s3: Any) -> None:
    for key in ("notices/", "notices/a/", "notices/a/b.json"):
        s3.put_object(Bucket="output", Key=key, Body=b"")
    assert set(BucketStore(s3, "output", "notices", {}).entries("")) == {"a"}
    assert set(BucketStore(s3, "output", "notices", {}).entries("a/")) == {"b.json"}


def test_a_version_changes_with_the_content(store: Store) -> None:
    store.create("a/b.json", b"one")
    before = store.entries("a/")
    assert store.entries("a/") == before
    store.replace("a/b.json", b"two")
    assert store.entries("a/") != before


def test_what_is_no_file_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    store = DirectoryStore(tmp_path)
    assert {name for name, version in store.entries("").items() if not version} == {"nowhere", "link", "pipe"}
    with pytest.raises(OSError, match="nowhere is a symbolic link"):
        store.entries("nowhere/")


def test_many_accounts_take_two_calls(s3: Any) -> None:
    class Pages:
        """The client, with pages of two entries."""

        calls = 0

        def list_objects_v2(self, **asked: Any) -> Any:
            self.calls += 1
            return s3.list_objects_v2(MaxKeys=2, **asked)

    for key in (" STOP", *(f"{number:012}/x" for number in range(9)), "exempt/x", "stop"):
        s3.put_object(Bucket="output", Key=f"notices/{key}", Body=b"")
    pages = Pages()
    store = BucketStore(pages, "output", "notices", {})
    assert set(store.entries("", leap=("0", ":"))) == {" STOP", "000000000000", "exempt", "stop"}
    assert pages.calls == 2
    assert len(store.entries("")) == 12


def test_names_whose_last_part_is_asked_for(store: Store) -> None:
    for name in (
        "a/intents.json",
        "a/b/intents.json",
        "a/my-intents.json",
        "intents.json/a",
        "intents.json.gz",
    ):
        store.create(name, b"one")
    found = store.names("", "intents.json")
    assert sorted(set(found) - {"intents.json"}) == ["a/b/intents.json", "a/intents.json"]
    assert store.names("a/b/", "intents.json") == ["a/b/intents.json"]
    assert sorted(store.names("a/", "intents.json", "my-intents.json")) == [
        "a/b/intents.json",
        "a/intents.json",
        "a/my-intents.json",
    ]


def test_stream_overwrites(store: Store) -> None:
    store.replace("a", b"one")
    store.stream("a", (each for each in (b"t", b"wo")))
    assert store.read("a") == b"two"


def test_remove(store: Store) -> None:
    store.create("a/b", b"one")
    store.remove("a/b", b"two")
    assert store.read("a/b") == b"one"
    store.remove("a/b", b"one")
    assert store.read("a/b") is None
    store.remove("a/b", b"one")
    store.remove("a/b")
    store.create("a/b", b"two")
    store.remove("a/b")
    assert store.read("a/b") is None


def test_all_contents_in_the_order_of_their_names(store: Store) -> None:
    contents = {f"{number:02}": str(number).encode() for number in range(20)}
    replace_all(store, contents.items())
    assert dict(read_all(store, [*contents, "missing"])) == {**contents, "missing": None}


def test_what_cannot_be_read_is_an_error_unless_somebody_is_told() -> None:
    class Broken(DirectoryStore):
        def read(self, name: str, largest: int = 0) -> bytes | None:
            if name == "b":
                raise OSError("b is broken")
            return name.encode()

    told = list[str]()
    store = Broken(Path("/nowhere"))
    found = read_all(store, ["a", "b", "c"], unread=lambda name, error: told.append(f"{name}: {error}"))
    assert (list(found), told) == ([("a", b"a"), ("c", b"c")], ["b: b is broken"])
    with pytest.raises(OSError, match="b is broken"):
        list(read_all(store, ["a", "b", "c"]))


def test_replace_all_raises_after_all_were_tried(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError, match="b is a directory"):
        replace_all(DirectoryStore(tmp_path), [(name, b"one") for name in "abc"])
    assert [DirectoryStore(tmp_path).read(name) for name in "ac"] == [b"one", b"one"]


def test_replace_all_holds_a_few_contents_at_a_time(tmp_path: Path) -> None:
    made, ended = 0, 0
    most = 0

    class Slow(DirectoryStore):
        def replace(self, name: str, content: bytes) -> None:
            nonlocal ended
            time.sleep(0.001)
            ended += 1

    def contents() -> Iterator[tuple[str, bytes]]:
        nonlocal made, most
        for number in range(200):
            made += 1
            most = max(most, made - ended)
            yield str(number), b""

    replace_all(Slow(tmp_path), contents())
    assert (made, ended) == (200, 200)
    # eight that are being written, eight that wait, and the next one
    assert most <= 20


def test_lines_are_read_one_by_one(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.replace("lines", b"one\ntwo\r\n\nthree")
    assert list(store.lines("lines")) == [b"one", b"two", b"", b"three"]
    assert list(store.lines("missing")) == []
    (tmp_path / "link").symlink_to(tmp_path / "lines")
    with pytest.raises(OSError, match="symbolic link"):
        list(store.lines("link"))


@pytest.mark.parametrize("bound", ["LONGEST_LINE", "LARGEST_OF_LINES"])
def test_lines_beyond_a_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    store = DirectoryStore(tmp_path)
    store.replace("lines", b"short\n" + b"x" * 99)
    monkeypatch.setattr(stores, bound, 50)
    with pytest.raises(OSError, match="no run writes more than 50 there"):
        list(store.lines("lines"))


def test_a_conditional_removal_keeps_another_writers_content() -> None:
    body = {"Body": io.BytesIO(b"ours"), "ETag": '"1"'}
    client = ScriptedClient(get_object=[body], delete_object=[client_error("PreconditionFailed")])
    BucketStore(client, "output", "p", {}).remove("a", b"ours")
    assert client.calls[-1] == ("delete_object", {"Bucket": "output", "Key": "p/a", "IfMatch": '"1"'})


def stored(content: bytes) -> dict[str, str]:
    """The answer to a put."""
    return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(content).digest()).decode()}


@pytest.mark.parametrize(
    "answer", [{}, stored(b"another")], ids=["of-another-operation", "of-another-content"]
)
def test_an_answer_to_another_put_stores_nothing(answer: dict[str, str]) -> None:
    client = ScriptedClient(put_object=[answer] * 9)
    store = BucketStore(client, "output", "p", {}, Sleeps().backoff(budget=5))
    with pytest.raises(OSError, match="its checksum is not that of the sent object"):
        store.create("a", b"one")


def test_a_retried_stream_is_sent_from_its_beginning() -> None:
    sent: list[bytes] = []

    class Client:
        def put_object(self, Body: Any, **_: Any) -> dict[str, str]:
            sent.append(Body.read())
            if len(sent) == 1:
                raise client_error("ServiceUnavailable")
            return stored(b"one")

    BucketStore(Client(), "output", "p", {}, Sleeps().backoff()).stream("a", [b"one"])
    assert sent == [b"one", b"one"]


def test_siblings_are_the_other_outputs_of_the_account(tmp_path: Path) -> None:
    for policy in ("flag", "quarantine", "delete"):
        DirectoryStore(tmp_path / "account" / policy).create("journal.jsonl", b"")
    (tmp_path / "account" / "report").mkdir()
    DirectoryStore(tmp_path / "other" / "delete").create("journal.jsonl", b"")
    found = DirectoryStore(tmp_path / "account" / "delete").siblings()
    assert [str(each) for each in found] == [f"{tmp_path}/account/{name}" for name in ("flag", "quarantine")]


@pytest.mark.parametrize(("lose", "told"), UNREADABLE)
@pytest.mark.parametrize("last", [(), ("journal.jsonl",)], ids=["all", "of-a-name"])
def test_names_of_what_can_not_be_read_whole_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose, told: str, last: tuple[str, ...]
) -> None:
    for policy in ("flag", "delete"):
        DirectoryStore(tmp_path / "account" / policy).create("journal.jsonl", b"")
    lose(monkeypatch, tmp_path / "account" / "delete")
    with pytest.raises(OSError, match=told):
        DirectoryStore(tmp_path / "account").names("", *last)


def test_what_a_file_system_has_at_its_top_is_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for policy in ("delete", "quarantine", "lost+found"):
        DirectoryStore(tmp_path / policy).create("journal.jsonl", b"")
    locked(monkeypatch, tmp_path / "lost+found")
    with pytest.raises(PermissionError):
        DirectoryStore(tmp_path).names("")
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    assert DirectoryStore(tmp_path).names("") == ["delete/journal.jsonl", "quarantine/journal.jsonl"]
    assert [str(each) for each in DirectoryStore(tmp_path / "delete").siblings()] == [
        f"{tmp_path}/quarantine"
    ]


def test_names_deeper_than_any_run_writes_are_an_error(tmp_path: Path) -> None:
    DirectoryStore(tmp_path).create("/".join(["deep"] * 40), b"")
    with pytest.raises(OSError, match="is nested deeper than any run writes"):
        DirectoryStore(tmp_path).names("")


def test_a_sibling_that_can_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for policy in ("quarantine", "delete"):
        DirectoryStore(tmp_path / policy).create("journal.jsonl", b"")
    locked(monkeypatch, tmp_path / "quarantine")
    with pytest.raises(PermissionError):
        DirectoryStore(tmp_path / "delete").siblings()


def test_siblings_in_a_bucket_are_the_other_prefixes_of_the_account(s3: Any) -> None:
    for prefix in ("p/1/flag", "p/1/quarantine", "p/1/delete", "p/2/delete", "p/12/delete"):
        BucketStore(s3, "output", prefix, {}).create("journal/1/a.A.jsonl", b"")
    found = BucketStore(s3, "output", "p/1/delete", ENCRYPTED).siblings()
    assert [str(each) for each in found] == ["s3://output/p/1/flag", "s3://output/p/1/quarantine"]
    assert [each.names("journal/") for each in found] == [["journal/1/a.A.jsonl"]] * 2
    assert list(BucketStore(s3, "output", "delete", {}).siblings()) == []


def test_an_update_is_repeated_after_another_writers_update() -> None:
    body = [{"Body": io.BytesIO(content), "ETag": f'"{content!r}"'} for content in (b"one", b"two")]
    client = ScriptedClient(get_object=body, put_object=[client_error("PreconditionFailed"), stored(b"two!")])
    sleeps = Sleeps()
    BucketStore(client, "output", "p", {}, sleeps.backoff()).update(
        "a", lambda content: (content or b"") + b"!"
    )
    puts = [given for name, given in client.calls if name == "put_object"]
    assert [(given["Body"], given["IfMatch"]) for given in puts] == [
        (b"one!", "\"b'one'\""),
        (b"two!", "\"b'two'\""),
    ]
    assert sleeps == [1]


def test_an_update_whose_answer_was_lost_is_made_once() -> None:
    body = {"Body": io.BytesIO(b"x"), "ETag": '"1"'}
    client = ScriptedClient(
        get_object=[client_error("NoSuchKey"), body],
        put_object=[ReadTimeoutError(endpoint_url="x"), client_error("PreconditionFailed"), {}],
    )
    store = BucketStore(client, "output", "p", {}, Sleeps().backoff())
    store.update("a", lambda content: (content or b"") + b"x")
    assert [given["Body"] for name, given in client.calls if name == "put_object"] == [b"x", b"x"]


def test_an_update_that_never_gets_through_is_an_os_error() -> None:
    client = ScriptedClient(
        get_object=[client_error("NoSuchKey")] * 9, put_object=[client_error("PreconditionFailed")] * 9
    )
    store = BucketStore(client, "output", "p", {}, Sleeps().backoff(budget=5))
    with pytest.raises(OSError, match=r"s3://output/p/a: .*PreconditionFailed"):
        store.update("a", lambda _: b"one")
    assert {given.get("IfNoneMatch") for name, given in client.calls if name == "put_object"} == {"*"}


def test_a_directory_keeps_no_drafts(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create("a", b"one")
    store.replace("b", b"one")
    with pytest.raises(FileExistsError):
        store.create("a", b"two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_directories_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = DirectoryStore(tmp_path / "out")
        store.create("snapshots/a", b"one")
        store.replace("b", b"one")
        open_appending(tmp_path / "other" / "c").close()
    finally:
        os.umask(before)
    made = {path.relative_to(tmp_path).as_posix(): mode(path) for path in tmp_path.rglob("*")}
    files, directories = ("out/snapshots/a", "out/b", "other/c"), ("out", "out/snapshots", "other")
    assert made == {**dict.fromkeys(files, 0o600), **dict.fromkeys(directories, 0o700)}


def test_a_file_of_an_earlier_version_is_tightened(tmp_path: Path) -> None:
    for name in ("replaced", "appended"):
        (tmp_path / name).write_bytes(b"one")
        (tmp_path / name).chmod(0o644)
    DirectoryStore(tmp_path).replace("replaced", b"two")
    with open_appending(tmp_path / "appended") as file:
        file.write(b"two")
    assert (mode(tmp_path / "replaced"), mode(tmp_path / "appended")) == (0o600, 0o600)
    assert (tmp_path / "appended").read_bytes() == b"onetwo"


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "foreign")


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "missing")


USES: dict[str, Callable[[Path], object]] = {
    "read": lambda path: DirectoryStore(path.parent).read(path.name),
    "create": lambda path: DirectoryStore(path.parent).create(path.name, b"ours"),
    "replace": lambda path: DirectoryStore(path.parent).replace(path.name, b"ours"),
    "stream": lambda path: DirectoryStore(path.parent).stream(path.name, [b"ours"]),
    "update": lambda path: DirectoryStore(path.parent).update(path.name, lambda _: b"ours"),
    "append": lambda path: open_appending(path).close(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        pytest.param(_link, "symbolic link", id="link"),
        pytest.param(_dangling, "symbolic link", id="dangling-link"),
        pytest.param(os.mkfifo, "FIFO", id="fifo"),
        pytest.param(os.mkdir, "directory", id="directory"),
    ],
)
def test_what_is_no_regular_file_is_neither_followed_nor_waited_for(
    tmp_path: Path, use: str, plant: Callable[[Path], None], kind: str
) -> None:
    (tmp_path / "foreign").write_bytes(b"theirs")
    plant(tmp_path / "a")
    with pytest.raises(
        OSError, match="File exists" if use == "create" else f"a is a {kind}, not a file of a run"
    ):
        USES[use](tmp_path / "a")
    left = {path.name for path in tmp_path.iterdir()} - ({".a.lock"} if use == "update" else set())
    assert left == {"a", "foreign"}
    assert (tmp_path / "foreign").read_bytes() == b"theirs"


def test_a_link_in_place_of_a_directory_is_not_followed(tmp_path: Path) -> None:
    store, elsewhere = DirectoryStore(tmp_path / "output"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.json").write_bytes(b"planted")
    store.directory.mkdir()
    (store.directory / "snapshots").symlink_to(elsewhere)
    for act in (
        store.read,
        store.remove,
        lambda name: store.create(name, b""),
        lambda name: store.replace(name, b""),
    ):
        with pytest.raises(OSError, match="snapshots is a symbolic link"):
            act("snapshots/a.json")
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [b"planted"]


def test_an_output_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "output").symlink_to(tmp_path / "real")
    store = DirectoryStore(tmp_path / "output")
    store.create("snapshots/a.json", b"one")
    assert store.read("snapshots/a.json") == b"one"


def test_a_fifo_that_somebody_reads_is_refused_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    reader = os.open(tmp_path / "a", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(OSError, match="a is a FIFO"):
            open_appending(tmp_path / "a")
    finally:
        os.close(reader)


def test_the_name_of_a_draft_is_unpredictable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts: list[Path] = []
    monkeypatch.setattr(os, "replace", lambda draft, _: drafts.append(draft))
    for _ in range(2):
        DirectoryStore(tmp_path).replace("a", b"one")
    assert len(set(drafts)) == 2
    assert all(str(os.getpid()) != draft.name.split(".")[2] for draft in drafts)


def test_a_draft_that_cannot_be_written_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (DirectoryStore(tmp_path).create, DirectoryStore(tmp_path).replace):
        with pytest.raises(OSError, match="No space left"):
            write("a", b"one")
    assert list(tmp_path.iterdir()) == []


def test_new_directories_and_names_in_them_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with synced(monkeypatch, tmp_path) as places:
        DirectoryStore(tmp_path / "out").create("snapshots/a", b"one")
    assert places == [
        tmp_path,
        tmp_path / "out",
        tmp_path / "out" / "snapshots",
    ]
    with synced(monkeypatch, tmp_path) as places:
        DirectoryStore(tmp_path / "out").replace("snapshots/b", b"one")
    assert places == [tmp_path / "out" / "snapshots"]


def test_a_place_is_a_path_or_url(tmp_path: Path) -> None:
    assert DirectoryStore(tmp_path).place("a/b") == f"{tmp_path}/a/b"
    assert BucketStore(None, "output", "/here/", {}).place("a/b") == "s3://output/here/a/b"
    assert BucketStore(None, "output", "", {}).place("a/b") == "s3://output/a/b"


def test_objects_have_the_given_encryption(s3: Any) -> None:
    BucketStore(s3, "output", "", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}).create("a", b"one")
    found = s3.head_object(Bucket="output", Key="a")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "k")


def test_a_put_whose_answer_was_lost_is_still_ours(s3: Any) -> None:
    store = BucketStore(s3, "output", "", {})
    store.create("a", b"one")
    store.create("a", b"one")
    assert store.read("a") == b"one"


@pytest.mark.parametrize("form", FEW_FORMS)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
def test_a_gateways_answer_to_a_write_is_settled_by_the_next_try(
    s3: Any, monkeypatch: pytest.MonkeyPatch, form: str, applied: bool
) -> None:
    store = BucketStore(s3, "output", "", {}, Sleeps().backoff())
    store.create("kept", b"one")
    Gateway(form, lambda url, _: url.startswith("PUT ") and "kept" not in url, applied, times=1).install(
        monkeypatch
    )
    store.create("created", b"one")
    with pytest.raises(FileExistsError):
        store.create("created", b"two")
    assert store.read("created") == b"one"


@pytest.mark.parametrize("form", FEW_FORMS)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
def test_an_update_is_made_once_whatever_a_gateway_says(
    s3: Any, monkeypatch: pytest.MonkeyPatch, form: str, applied: bool
) -> None:
    store = BucketStore(s3, "output", "", {}, Sleeps().backoff())
    store.create("counted", b"1")
    Gateway(form, lambda url, _: url.startswith("PUT "), applied, times=1).install(monkeypatch)
    store.update("counted", lambda content: (content or b"") + b"1")
    assert store.read("counted") == b"11"


@pytest.mark.parametrize("form", FEW_FORMS)
def test_a_gateways_page_is_neither_a_content_nor_an_empty_list(
    org: LocalOrg, s3: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    once = org.client("s3", config=Config(retries={"total_max_attempts": 1}))
    store = BucketStore(once, "output", "", {}, Sleeps().backoff(budget=3))
    store.create("STOP", b"")
    Gateway(form, lambda url, _: url.startswith("GET ")).install(monkeypatch)
    with pytest.raises(OSError, match="s3://output/"):
        store.read("STOP")
    with pytest.raises(OSError, match="s3://output/"):
        store.names("")


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_what_s3_refuses_is_an_os_error_that_names_the_object(code: str) -> None:
    refusing = ScriptedClient(get_object=[client_error(code)], put_object=[client_error(code)] * 2)
    store = BucketStore(refusing, "output", "p", {})
    with pytest.raises(OSError, match=f"s3://output/p/a: .*{code}"):
        store.read("a")
    with pytest.raises(OSError, match=f"s3://output/p/a: .*{code}"):
        store.create("a", b"")
    with pytest.raises(OSError, match=f"s3://output/p/a: .*{code}"):
        store.replace("a", b"")


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {"ServerSideEncryption": "AES256"}),
        ("?region=eu-west-1", {"ServerSideEncryption": "AES256"}),
        ("?sse=aws:kms", {"ServerSideEncryption": "aws:kms"}),
        ("?kms-key=alias/k", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/k"}),
        ("?sse=AES256&kms-key=alias/k", {"ServerSideEncryption": "AES256"}),
    ],
)
def test_an_output_url_is_read_as_cloud_custodian_does(
    org: LocalOrg, query: str, arguments: dict[str, str]
) -> None:
    found = bucket_output(f"s3://output/here/{query}", org.session())
    config = parse_url_config(f"s3://output/here/{query}")
    assert S3Output.get_sse_args(SimpleNamespace(config=config)) == arguments
    assert found._arguments == {"ACL": "bucket-owner-full-control", **arguments}
    assert (str(found), found._client.meta.region_name) == (
        "s3://output/here",
        config.get("region", "us-east-1"),
    )


def _put_link(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere)


def _put_hard_link(place: Path, elsewhere: Path) -> None:
    place.hardlink_to(elsewhere)


def _put_fifo(place: Path, _: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(_put_link, "a.json is a link", id="link"),
        pytest.param(_put_hard_link, "a.json is a hard link", id="hard-link"),
        pytest.param(_put_fifo, "a.json is not a regular file", id="fifo"),
    ],
)
def test_an_output_holds_files_and_directories_of_its_own_only(
    tmp_path: Path, make: Callable[[Path, Path], None], told: str
) -> None:
    output, elsewhere = tmp_path / "output", tmp_path / "elsewhere"
    assert stores.foreign_entry(output) == ""
    elsewhere.write_text("precious")
    assert stores.foreign_entry(elsewhere) == f"{elsewhere} is not a directory"
    (output / "snapshots").mkdir(parents=True)
    (output / "b.json").write_text("ours")
    assert stores.foreign_entry(output) == ""
    make(output / "a.json", elsewhere)
    assert stores.foreign_entry(output).startswith(f"{output / told}")
    (output / "a.json").unlink()
    output.rename(tmp_path / "moved")
    for target in (tmp_path / "moved", tmp_path / "nowhere"):
        output.symlink_to(target)
        assert stores.foreign_entry(output) == f"{output} is not a directory"
        output.unlink()


def test_a_file_of_somebody_else_is_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def fault_of(owner: int) -> str:
        return stores._foreign(path, os.stat_result((0o100600, 1, 1, 1, owner, 0, 0, 0, 0, 0)))

    assert fault_of(1001) == f"{path} belongs to user id 1001, not to this run's 1000"
    assert (fault_of(1000), fault_of(0)) == ("", "")


@pytest.mark.parametrize(
    ("path", "mode", "told"),
    [
        pytest.param("runs/a.json", 0o600, "", id="private"),
        pytest.param("runs/a.json", 0o644, "", id="readable"),
        pytest.param("runs/a.json", 0o620, "a.json can be written by others (mode 0620)", id="group"),
        pytest.param("runs/a.json", 0o602, "a.json can be written by others (mode 0602)", id="others"),
        pytest.param("runs", 0o770, "", id="directory-of-a-group"),
        pytest.param("runs", 0o707, "runs can be written by others (mode 0707)", id="directory-of-others"),
        pytest.param("runs", 0o1707, "", id="sticky-directory"),
        pytest.param(".", 0o707, "output can be written by others (mode 0707)", id="the-output-itself"),
    ],
)
def test_who_else_may_have_written_a_file(tmp_path: Path, path: str, mode: int, told: str) -> None:
    output = tmp_path / "output"
    (output / "runs").mkdir(parents=True)
    for each in (output, output / "runs"):
        each.chmod(0o700)
    (output / "runs" / "a.json").touch(0o600)
    (output / path).chmod(mode)
    found = stores.others_may_write(output, "runs/a.json")
    assert found == (told and str((output / path).resolve().parent / told))
    # the output itself may be a link
    (tmp_path / "link").symlink_to(output)
    assert bool(stores.others_may_write(tmp_path / "link", "runs/a.json")) is bool(told)


def test_a_file_of_another_user_id_was_written_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").touch(0o600)
    tmp_path.chmod(0o700)
    found = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: found + 1)
    told = stores.others_may_write(tmp_path, "a.json")
    expected = f"{tmp_path / 'a.json'} belongs to user id {found}, not to this run's {found + 1}"
    assert told == (expected if found else "")


@pytest.mark.parametrize("name", ["../x.json", "snapshots/../../x.json", "snapshots/..", "/x.json"])
def test_no_name_leads_out_of_the_directory(tmp_path: Path, name: str) -> None:
    store = DirectoryStore(tmp_path / "here")
    with pytest.raises(OSError, match="leads out of"):
        store.replace(name, b"planted")
    with pytest.raises(OSError, match="leads out of"):
        store.read(name)
    assert list(tmp_path.rglob("x.json")) == []

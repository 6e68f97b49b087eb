# SPDX-License-Identifier: Apache-2.0
"""c7n-mailer finds the package's templates without ``-t``, in an environment that has both."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import c7n_mailer

import c7n_iamusers
from tests.packaging.environments import Environment

TEMPLATES = Path(c7n_iamusers.__file__).parent / "mailer_templates"
NAMES = sorted(file.name for file in TEMPLATES.iterdir())
#: c7n-mailer's own main, up to where it would read the queue or call Lambda.
MAILER = """
import json, sys
from c7n_mailer import cli, deploy, utils

names, archive = sys.argv[1].split(","), sys.argv[2]

def found(config, logger):
    environment = utils.get_jinja_env(config["templates_folders"])
    print(json.dumps({each: environment.get_template(each).filename for each in names}))
    raise SystemExit

def packed(config, session_factory):
    with open(archive, "wb") as file:
        file.write(deploy.get_archive(config).get_bytes())

cli.get_processor, deploy.provision = found, packed
deploy.CORE_DEPS.clear()  # libraries, of which one or the other may not be installed
sys.argv[1:] = ["-c", "mailer.yml", "--run" if not archive else "--update-lambda"]
cli.main()
"""


def give_mailer(environment: Environment) -> None:
    """c7n-mailer as pip installs it, not as a link: it looks for templates beside its own files."""
    place = environment.site_packages / "c7n_mailer"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(Path(c7n_mailer.__file__).parent, place, ignore=shutil.ignore_patterns("__pycache__"))
    (environment.home / "mailer.yml").write_text(
        "queue_url: https://sqs.us-east-1.amazonaws.com/1/q\nrole: r\n"
    )


def found(environment: Environment) -> dict[str, str]:
    done = environment.run("python", "-c", MAILER, ",".join(NAMES), "")
    assert done.returncode == 0, done.stderr
    files: dict[str, str] = json.loads(done.stdout)
    return files


def test_the_mailer_finds_our_templates_by_itself(disposable: Environment) -> None:
    """Also after c7n-mailer was installed anew, and after this package was."""
    give_mailer(disposable)
    place = disposable.site_packages / "msg-templates"
    expected = {name: str(place / name) for name in NAMES}
    assert found(disposable) == expected
    assert {file.name: file.read_bytes() for file in place.iterdir()} == {
        file.name: file.read_bytes() for file in TEMPLATES.iterdir()
    }
    give_mailer(disposable)
    assert found(disposable) == expected


def test_an_upgrade_replaces_them_and_removing_leaves_those_of_others(
    disposable: Environment, wheel: Path
) -> None:
    give_mailer(disposable)
    place = disposable.site_packages / "msg-templates"
    (place / "of-others.html.j2").write_text("ours")
    (place / NAMES[0]).write_text("of an earlier version")
    disposable.install("--force-reinstall", wheel)
    assert (place / NAMES[0]).read_bytes() == (TEMPLATES / NAMES[0]).read_bytes()
    disposable.pip("uninstall", "--yes", "c7n_iamusers")
    assert [file.name for file in place.iterdir()] == ["of-others.html.j2"]


def test_the_mailers_lambda_function_has_them(disposable: Environment, tmp_path: Path) -> None:
    give_mailer(disposable)
    done = disposable.run("python", "-c", MAILER, "", str(tmp_path / "mailer.zip"))
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "mailer.zip") as archive:
        packed = {each for each in archive.namelist() if each.startswith("msg-templates/")}
    assert packed >= {f"msg-templates/{name}" for name in NAMES}

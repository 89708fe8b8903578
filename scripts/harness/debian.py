# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of any suite, downloaded and unpacked into the cache.

apt runs on lists and settings of its own, so that neither root is needed nor anything of the machine
changed. Signatures are checked as always, against Debian's own keyring.
"""

import pathlib
import subprocess
import tempfile

from . import cache

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
MIRROR_SECURITY = "http://deb.debian.org/debian-security"


def _mirror(codename, default):
    """The URI that this machine itself uses for a suite, so that a local mirror is honoured."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)",
         "Created-By: Packages"], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        name, _, uri = line.partition(" ")
        if name == codename and uri:
            return uri.rstrip("/")
    return default


def mirror(suite):
    """The URI of the archive that has a suite."""
    return _mirror(suite, MIRROR)


def _sources(suite, kind="deb"):
    """The lines of a sources.list for a suite; a stable suite comes with its security updates."""
    signed = f"{kind} [signed-by={KEYRING}]"
    lines = [f"{signed} {_mirror('bookworm', MIRROR)} {suite} main"]
    if "-" not in suite:
        security = _mirror("bookworm-security", MIRROR_SECURITY)
        lines.append(f"{signed} {security} {suite}-security main")
    return "\n".join(lines) + "\n"


def _run(command, cwd=None, stdin=subprocess.DEVNULL):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False,
                          stdin=stdin)
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        raise cache.Failure(f"{' '.join(map(str, command[:1]))} failed:\n{output}")
    return done.stdout


def _make_lists(suite, kind="deb"):
    def make(path):
        (path / "lists" / "partial").mkdir(parents=True)
        (path / "cache" / "archives" / "partial").mkdir(parents=True)
        (path / "sources.list").write_text(_sources(suite, kind), encoding="ascii")
        _run(["apt-get", *_settings(path), "update", "--error-on=any"])
    return make


def _settings(folder):
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "",
        "APT::Architecture": "amd64",
        "Acquire::Retries": "3",
        "Acquire::Languages": "none",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _lists(suite):
    return cache.entry(f"apt/{suite}", _make_lists(suite), f"reading the package lists of {suite}")


def forget(suite):
    """Drop the lists of a suite, so that the next use reads new ones."""
    with cache.locked(f"apt/{suite}"):
        if (cache.root() / "apt" / suite).exists():
            cache.remove(cache.root() / "apt" / suite)


def depends(suite, package):
    """The names of the packages that `package` depends on directly, first alternatives only."""
    lists = _lists(suite)
    shown = _run(["apt-cache", *_settings(lists), "--no-all-versions", "show", package])
    for line in shown.splitlines():
        if line.startswith("Depends: "):
            return [word.split("|")[0].split()[0].split(":")[0]
                    for word in line.removeprefix("Depends: ").split(",")]
    return []


def version(suite, package):
    """The newest version of a package that the lists of a suite name."""
    shown = _run(["apt-cache", *_settings(_lists(suite)), "--no-all-versions", "show", package])
    return next(line.removeprefix("Version: ") for line in shown.splitlines()
                if line.startswith("Version: "))


def unpack(suite, packages, folder):
    """Download packages of a suite and unpack them all into `folder`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _download(suite, packages, folder)
    except cache.Failure:
        # The lists name versions that an update of the archive has removed since.
        cache.say(f"reading the package lists of {suite} again")
        forget(suite)
        _download(suite, packages, folder)


def _download(suite, packages, folder):
    lists = _lists(suite)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="debs.part-") as debs:
        _run(["apt-get", *_settings(lists), "download", *packages], cwd=debs)
        for deb in sorted(pathlib.Path(debs).glob("*.deb")):
            _run(["dpkg-deb", "-x", deb, folder])


def source(suite, package, folder):
    """Download a source package and unpack it in `folder`, as upstream released it, without Debian's
    patches; returns the folder of the sources."""
    lists = cache.entry(f"apt/{suite}-source", _make_lists(suite, "deb-src"),
                        f"reading the lists of sources of {suite}")
    folder.mkdir()
    _run(["apt-get", *_settings(lists), "source", "--download-only", "--tar-only", package],
         cwd=folder)
    _run(["tar", "-x", "--no-same-owner", "-f", *(path.name for path in folder.iterdir())],
         cwd=folder)
    return next(path for path in folder.iterdir() if path.is_dir())


def unpack_closure(suite, packages, folder):
    """Download packages with all that they depend on and unpack them, running none of their scripts.

    That is enough for compilers and the like; it is no installed system.
    """
    folder = pathlib.Path(folder)
    lists = _lists(suite)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="debs.part-") as debs:
        archives = pathlib.Path(debs)
        (archives / "partial").mkdir()
        _run(["apt-get", *_settings(lists), "-o", f"Dir::Cache::Archives={archives}",
              "-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=true",
              "--yes", "--download-only", "install", *packages])
        folder.mkdir()
        # The folders that are links into /usr have to be there before the packages that use them.
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / "usr" / name).mkdir(parents=True)
            (folder / name).symlink_to(f"usr/{name}")
        for deb in sorted(archives.glob("*.deb")):
            tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
            _run(["tar", "-C", folder, "-x", "--keep-directory-symlink", "--no-same-owner"],
                 stdin=tar.stdout)
            if tar.wait():
                raise cache.Failure(f"{deb.name} cannot be unpacked")

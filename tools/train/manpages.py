"""Real English prose with markup: the manual pages of freely licensed Debian packages.

packages.txt names the packages with version and SHA-256. They are fetched with
apt-get, unpacked (never installed) and rendered by mandoc, itself one of them.
"""
import gzip
import hashlib
import pickle
import re
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "build" / "train" / "debian"

# Parts of a page that are lists, code or the same legal text everywhere.
SKIPPED_SECTIONS = re.compile(
    r"NAME|SYNOPSIS|SYNTAX|SEE ALSO|COPYRIGHT|LICEN[SC]E|AUTHORS?|BUGS|HISTORY|EXAMPLES?|"
    r"AVAILABILITY|KEYWORDS|STANDARDS|CONFORMING.*|TRADEMARKS|ACKNOWLEDGE?MENTS")
PROSE_WORDS_MIN = 8  # a shorter line is a list item, a heading or code


@dataclass
class Page:
    package: str
    name: str
    section: int
    lines: list  # prose lines; each is a list of (word, is_marked)

    def bucket(self):
        """0..99, fixed by the name: a page is wholly in training or wholly held out."""
        return zlib.crc32(self.name.encode()) % 100


def pages():
    """All pages with prose, in a fixed order, without lines that several pages share."""
    cache = CACHE / "pages.pickle"  # rendering 3,000 pages takes a minute
    if not cache.exists():
        cache.write_bytes(pickle.dumps(drop_shared_lines(render_packages())))
    return pickle.loads(cache.read_bytes())


def render_packages():
    found = []
    for package, root in unpack_packages():
        for path in sorted(root.glob("usr/share/**/man/man*/*.gz")):
            # A symbolic link is another name of a page that is read anyway.
            if package == "mandoc" or path.is_symlink():
                continue
            name, _, section = path.name[:-3].rpartition(".")
            if name and section[0] in "12358":
                found.append(Page(package, path.name[:-3], int(section[0]), prose(path)))
    return found


def unpack_packages():
    CACHE.mkdir(parents=True, exist_ok=True)
    for line in (HERE / "packages.txt").read_text().splitlines():
        package, version, digest = line.split()
        root = CACHE / package
        if not root.exists():
            subprocess.run(["dpkg-deb", "-x", download(package, version, digest), root],
                           check=True)
        yield package, root


def download(package, version, digest):
    """Debian drops a version when it publishes a fixed one: then the new one must do."""
    for wanted in (f"{package}={version}", package):
        if subprocess.run(["apt-get", "-qq", "download", wanted], cwd=CACHE).returncode == 0:
            break
    path = next(CACHE.glob(f"{package}_*.deb"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        print(f"note: {path.name} is not {version} as listed; figures will differ a little",
              file=sys.stderr)
    return path


def prose(path):
    """The page's prose lines, in order."""
    source = gzip.decompress(path.read_bytes())
    # Very wide lines: a paragraph stays one line, and no word is cut.
    text = subprocess.run([CACHE / "mandoc/usr/bin/mandoc", "-T", "ascii", "-O", "width=1000"],
                          input=source, capture_output=True).stdout.decode("ascii", "replace")
    lines, wanted = [], False
    for line in text.splitlines():
        if line[:1].strip():  # headings alone begin in the first column
            wanted = not SKIPPED_SECTIONS.fullmatch(plain(line).strip())
            continue
        words = [(plain(word), "\b" in word) for word in line.split()]
        if wanted and len(words) >= PROSE_WORDS_MIN:
            lines.append(words)
    return lines


def plain(word):
    """Undo the typewriter markup: bold is x<backspace>x, italic is _<backspace>x."""
    return re.sub(".\b", "", word)


def drop_shared_lines(found):
    """The same line on two pages could be trained on and then tested."""
    owners = {}
    for page in found:
        for line in page.lines:
            owners.setdefault(line_key(line), set()).add(page.name)
    for page in found:
        page.lines = [x for x in page.lines if len(owners[line_key(x)]) == 1]
    return [page for page in found if page.lines]


def line_key(line):
    return " ".join(word.lower() for word, _ in line)

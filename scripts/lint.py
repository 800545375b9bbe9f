#!/usr/bin/python3
"""lint.py - the rules of the house that a machine can see. One line a finding:

    path:line: what is wrong (what to do)

It reads the include lines and checks the floors of docs/architecture.md, wants a comment above each
public function, refuses functions that we do not use, then asks clang-format and clang-tidy.
Exit status 1 if there is any finding. LINT=fast leaves out clang-tidy, which takes minutes on a
fresh clone and seconds later: its answer for a file is kept until the file, something it includes,
its command line or .clang-tidy changes.
"""
import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

# A room may include from its own floor's row only itself, and anything from lower rows.
FLOORS = [["base"], ["codec"], ["net"], ["telemetry"], ["resilience"], ["client"], ["service"],
          ["observe", "gateway", "geocode", "events"], ["cmd"]]
FLOOR = {room: i for i, row in enumerate(FLOORS) for room in row}

# Rooms of the observatory, the lower ones first: each may use those before it.
OBSERVE = ["tsdb", "promql", "config", "scrape", "collect", "rules", "remote", "rpc",
           "spans", "traces", "traceql", "collector", "auth", "check", "jaeger", "tempo", "dashboards",
           "ui", "api"]

# A public header belongs to the room with a .c file that opens with it (own_headers). These have no
# such file: they hold only types, macros or inline functions.
ROOM_OF_HEADER = {"base.h": "base", "list.h": "base", "tls.h": "net", "http_client.h": "net",
                  "log.h": "telemetry", "metrics.h": "telemetry", "trace.h": "telemetry",
                  "context.h": "telemetry", "otlp.h": "telemetry", "kit.h": "resilience",
                  "service.h": "service",
                  "sextant.h": "service"}

OURS = ("lib/", "observe/", "gateway/", "geocode/", "events/", "cmd/", "examples/", "include/")
FILE_LINES_MAX = 900

# Functions that we do not use: names, where they are allowed all the same, the remedy.
CLOCK_ROOM = ("lib/base/clock.c", "bench/")
TRIALS = ("tests/", "fuzz/", "bench/")
BANNED = [
    ("strcpy strcat sprintf vsprintf gets strncpy strncat stpcpy", (),
     "use sx_str, sx_buf or snprintf"),
    ("strtok strtok_r strsep", (), "use sx_str_cut"),
    ("atoi atol atoll atof", (), "use the sx_str parsers, which report an error"),
    ("alloca", (), "use an arena"),
    ("malloc calloc realloc free reallocarray strdup strndup asprintf vasprintf",
     ("lib/base/mem.c",) + TRIALS, "use sx_alloc and its family, an arena or sx_buf"),
    ("time gettimeofday clock_gettime uv_hrtime", CLOCK_ROOM, "ask the sx_clock you were given"),
    ("sleep usleep nanosleep", (), "use a timer; a test moves its clock or polls a condition"),
    ("rand srand random srandom drand48", (), "use sx_random"),
    ("localtime gmtime ctime asctime", (), "use the _r form"),
    ("tmpnam tempnam mktemp", (), "unsafe by design"),
    ("system popen", TRIALS, "starts a shell: use posix_spawn"),
    ("assert", TRIALS, "use sx_assert, which stays on in releases"),
]
BANNED_BY_NAME = {name: (allowed, remedy)
                  for names, allowed, remedy in BANNED for name in names.split()}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(sorted(BANNED_BY_NAME)) + r")\s*\(")

# Words for work that is not finished; split so that this file may be read by itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
NOT_PROSE = re.compile(r"^(data/|fuzz/corpus/|fuzz/found/|tests/data/|LICENSE$|web/dist/)")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\s*([<"])([^>"]+)[>"]', re.M)

findings = []
warnings = []


def report(path, line, what, remedy):
    findings.append((path, line, f"{what} ({remedy})"))


def listed_files():
    """Everything that git tracks or would track: a file counts before it is added."""
    out = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], text=True)
    return sorted(f for f in set(out.split("\0")) if f and os.path.isfile(f))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def blank(text, comments_only=False):
    """`text` with comments, and strings unless comments_only, made of spaces; lines stay put."""
    def space(match):
        found = match.group(0)
        if comments_only and not found.startswith(("/*", "//")):
            return found
        return re.sub(r"[^\n]", " ", found)
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", space, text,
                  flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def room_of_file(path):
    """The room that a file is in; None for tests, examples and the like, which may include all."""
    parts = path.split("/")
    if parts[0] == "lib" and len(parts) > 2:
        return parts[1]
    return parts[0] if parts[0] in FLOOR and len(parts) > 1 else None


def own_headers(sources):
    """{"http.h": "net"}: the room of each public header. A .c file that opens with the header and
    shares its name (http_server.c, http.h) says most; another that opens with it is second best."""
    claims = {}
    for path, text in sources.items():
        first = INCLUDE.search(text)
        if room_of_file(path) in FLOOR and path.endswith((".c", ".cc")) and first:
            if first.group(2).startswith("sextant/"):
                header = first.group(2)[len("sextant/"):]
                namesake = os.path.basename(path).startswith(header[:-2])
                claims.setdefault(header, []).append((not namesake, FLOOR[room_of_file(path)],
                                                      room_of_file(path)))
    return {**{header: min(found)[2] for header, found in claims.items()}, **ROOM_OF_HEADER}


def target_of(path, quote, name, sources):
    """The project file that an include line names, or None for the system's."""
    places = ["include/" + name, "lib/" + name, name]
    if quote == '"':
        places.insert(0, os.path.normpath(os.path.join(os.path.dirname(path), name)))
    return next((p for p in places if p in sources), None)


def check_observe(path, line, target):
    """Inside observe/: files beside the rooms put them together and may include them all."""
    here, there = (p.split("/")[1] for p in (path, target))
    if here not in OBSERVE:
        return
    if there not in OBSERVE and here != "api":
        report(path, line, f"observe/{here} includes {target}, which is in no room",
               "hand it what it needs")
    elif there in OBSERVE and OBSERVE.index(there) > OBSERVE.index(here):
        report(path, line, f"observe/{here} includes {target} of a room above it",
               "the rooms' order is OBSERVE in scripts/lint.py")


def check_floors(sources, generated):
    rooms = own_headers(sources)

    def room_of(path):
        if path.startswith("include/sextant/"):
            return rooms.get(path[len("include/sextant/"):])
        return room_of_file(path)

    for path, text in sources.items():
        here = room_of(path)
        if path.startswith("include/sextant/") and here is None:
            report(path, 1, "no room opens a .c file with this header, so its floor is unknown",
                   "open its .c with it, or add it to ROOM_OF_HEADER in scripts/lint.py")
        code = blank(text, comments_only=True)
        for match in INCLUDE.finditer(code):
            quote, name = match.groups()
            line = line_of(code, match.start())
            target = target_of(path, quote, name, sources)
            if target is None:
                if quote == '"' and os.path.basename(name) not in generated:
                    report(path, line, f'"{name}" is no file of ours',
                           "write the system's headers in <>, ours as \"room/file.h\"")
                continue
            there = room_of(target)
            if path.startswith("examples/") and not target.startswith("include/"):
                report(path, line, f"an example includes {target}",
                       "examples show the public headers only")
            if here == there == "observe":
                check_observe(path, line, target)
            if here not in FLOOR or there not in FLOOR or here == there:
                continue
            if FLOOR[there] > FLOOR[here]:
                report(path, line, f"{here} includes upward, {target} of {there}",
                       f"move what both need to {here} or below")
            elif FLOOR[there] == FLOOR[here]:
                report(path, line, f"{here} includes its neighbour's {target}",
                       "the products do not know each other; move it to a floor below")


# A top-level declaration or inline definition of a function: its name is the word before the first
# parenthesis that is not an attribute.
NOT_FUNCTION = re.compile(r"\s*(typedef|struct\s+\w+\s*[{;]|enum\b[^(]*[{;]|union\s+\w+\s*[{;]|extern\s+\"C\"|"
                          r"_Static_assert|static_assert|SX_STATIC_ASSERT)")
FUNCTION_NAME = re.compile(r"(\w+)\s*\(")
ATTRIBUTES = re.compile(r"__attribute__\s*\(\(.*?\)\)|\b(?!SX_[A-Z_]*DECLS)SX_[A-Z_]+\s*\([^()]*\)|"
                        r"\b_Alignas\s*\([^()]*\)", re.S)


def statements(code):
    """(offset, end, text) of each top-level statement; a body in braces is left out of text."""
    # Preprocessor lines, with their continuations, are not statements.
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  code, flags=re.M)
    code = re.sub(r"\bSX_(BEGIN|END)_DECLS\b", lambda m: " " * len(m.group(0)), code)
    start, depth, text = None, 0, ""
    for i, c in enumerate(code):
        if start is None:
            if c.isspace() or c == ";":
                continue
            start, text = i, ""
        if c == "{":
            depth += 1
            if depth == 1:
                text += "{"
        elif c == "}":
            depth -= 1
            # A function's body ends its statement; a struct's goes on to its semicolon.
            if depth == 0 and re.search(r"\)\s*(?:SX_\w+\s*)*\{$", text.rstrip()):
                yield start, i + 1, text
                start = None
        elif depth == 0:
            text += c
            if c == ";":
                yield start, i + 1, text
                start = None


def check_public_comments(path, text):
    group_ok, group_end, group_inline, group_size = False, -1, False, 0
    code = blank(text)
    for start, end, statement in statements(code):
        bare = ATTRIBUTES.sub("", statement)
        name = FUNCTION_NAME.search(bare)
        above = text[:start].rstrip(" \t")
        commented = re.search(r"\*/[ \t]*\n[ \t]*$|//[^\n]*\n[ \t]*$", above) is not None
        if NOT_FUNCTION.match(bare) or not name or re.search(r"\(\s*\*", bare[:name.end() + 2]):
            # The comment may stand above the small type that the function right below it takes.
            group_ok, group_end, group_inline, group_size = commented, end, False, 0
            continue
        inline = "inline" in bare.split("(")[0]
        gap = text[group_end:start].count("\n") if group_end >= 0 else 99
        # One comment may speak for lines that stand right below it, and for a family of inline
        # functions that follow each other.
        same_group = group_ok and group_size < 12 and (
            gap <= 1 or (inline and group_inline and gap <= 2))
        if commented:
            group_ok, group_size = True, 1
        elif same_group:
            group_size += 1
        else:
            group_ok = False
            report(path, line_of(text, start), f"{name.group(1)} has no comment right above it",
                   "say what it takes and returns, units, ownership, errors")
        group_end, group_inline = end, inline


def check_words(path, text):
    for match in UNFINISHED.finditer(text):
        report(path, line_of(text, match.start()), f"the word {match.group(0)}",
               "finish it, or write down why it is as it is")


def check_c_file(path, text):
    if not text.lstrip().startswith(("/*", "//")):
        report(path, 1, "the file does not open with a comment", "say what it is for and who calls it")
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        warnings.append(f"{path}:1: {lines} lines (is it still one subject?)")
    code = blank(text)
    for match in CALL.finditer(code):
        allowed, remedy = BANNED_BY_NAME[match.group(1)]
        before = code[:match.start()].rstrip()[-1:]
        declares = before in "*" and before != ""  # a member or parameter of that name
        if not declares and not path.startswith(allowed or ("\0",)):
            report(path, line_of(code, match.start()), f"{match.group(1)}() is not used here", remedy)


def check_python_test(path, text):
    for match in re.finditer(r"\bsleep\(", text):
        report(path, line_of(text, match.start()), "a test sleeps",
               "poll a condition with wait_for, up to a deadline")


def check_format(files):
    if not files:
        return
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files],
                          stderr=subprocess.PIPE, text=True, errors="replace")
    seen = set()
    for path, line in re.findall(r"^(\S+?):(\d+):\d+: error: ", done.stderr, re.M):
        if path not in seen:
            seen.add(path)
            report(path, int(line), "not laid out as .clang-format says", "make format")
    if done.returncode != 0 and not seen:
        report(".clang-format", 1, done.stderr.strip()[:200] or "clang-format failed", "run it by hand")


def configure():
    """Configures build/ and makes the sources that are generated; False if that cannot be done."""
    done = subprocess.run(["scripts/build.sh", "build", "build.ninja"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout[-2000:])
        return False
    targets = json.loads(subprocess.check_output(["meson", "introspect", "build", "--targets"]))
    made = [os.path.relpath(f, "build") for t in targets if t["type"] == "custom"
            for f in t["filename"] if f.endswith((".h", ".c", ".inc"))]
    return not made or subprocess.run(["scripts/build.sh", "build", *made]).returncode == 0


def check_tidy(sources):
    if not configure():
        return report("meson.build", 1, "build/ cannot be configured", "see what meson says above")
    with open("build/compile_commands.json", encoding="utf-8") as f:
        commands = {}
        for entry in json.load(f):
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
            if path in sources and path.startswith(OURS):
                commands.setdefault(path, entry["command"])
    config = read(".clang-tidy")
    store = ".cache/tidy"
    os.makedirs(store, exist_ok=True)

    def closure(path, seen):
        seen.add(path)
        for quote, name in INCLUDE.findall(sources[path]):
            target = target_of(path, quote, name, sources)
            if target and target not in seen:
                closure(target, seen)
        return seen

    def run(path):
        key = hashlib.sha256()
        for part in [config, commands[path]] + [sources[p] for p in sorted(closure(path, set()))]:
            key.update(part.encode("utf-8", "replace") + b"\0")
        kept = os.path.join(store, key.hexdigest()[:40])
        if os.path.exists(kept):
            return read(kept)
        done = subprocess.run(["clang-tidy-19", "-p", "build", "--quiet", path], text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, 1):
            return f"../{path}:1:1: error: clang-tidy died: {done.stderr[-200:]!r} [clang-tidy]\n"
        with open(kept, "w", encoding="utf-8") as out:
            out.write(done.stdout)
        return done.stdout

    seen = set()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(run, sorted(commands)):
            for path, line, what, check in re.findall(
                    r"^([^:\s][^:\n]*):(\d+):\d+: (?:warning|error): (.*) \[([\w.,-]+)\]$", text, re.M):
                # Paths are as the compiler was given them: from the build folder.
                row = (os.path.relpath(os.path.join("build", path)), int(line), what, check)
                if row not in seen:
                    seen.add(row)
                    report(row[0], row[1], what, check)


def main():
    os.chdir(ROOT)
    files = listed_files()
    sources = {f: read(f) for f in files if f.endswith((".c", ".h", ".cc"))
               and not NOT_PROSE.match(f)}
    # A file that the build makes is named, in quotes, by the meson.build that makes it.
    generated = set(re.findall(r"'([\w.]+\.(?:h|inc))'", "".join(
        read(f) for f in files if os.path.basename(f) == "meson.build")))
    check_floors(sources, generated)
    for path, text in sources.items():
        check_c_file(path, text)
        if path.startswith("include/sextant/"):
            check_public_comments(path, text)
    for path in files:
        if not NOT_PROSE.match(path):
            try:
                with open(path, encoding="utf-8") as f:
                    text = f.read()
            except UnicodeDecodeError:
                continue
            check_words(path, text)
            if path.startswith("tests/") and path.endswith(".py"):
                check_python_test(path, text)
    check_format(sorted(sources))
    if os.environ.get("LINT") != "fast":
        check_tidy(sources)

    for path, line, text in sorted(set(findings)):
        print(f"{path}:{line}: {text}")
    for text in sorted(warnings):
        print(f"warning: {text}")
    print(f"lint: {len(sources)} C files, {len(set(findings))} findings, {len(warnings)} warnings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()

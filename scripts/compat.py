#!/usr/bin/env python3
"""Writes docs/compat/prometheus.md: what of Prometheus is supported, from the tables of the code.

Keys come from the bind tables of observe/config and rule files, flags from observe/flags.c, routes from
observe/api/routes.c, functions from observe/promql/functions.h: the tables that the program itself runs
on. For each the first test that names it is given. `--check` compares with the file instead."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "docs", "compat", "prometheus.md")
SOURCES = [f"observe/config/{n}.c" for n in ("config", "config_discovery", "config_http",
                                             "config_relabel", "config_remote", "config_scrape")]
TESTS = re.compile(r"tests/(unit/observe/(?!auth/).*\.c|e2e/test_(observe(?!_auth)|promql|tsdb)\w*\.py|"
                   r"e2e/lib/promql_cases\.py|e2e/data/promql\w*\.jsonl|"
                   r"e2e/data/(broken_config|broken_rules|hackathon_steel)/.*\.yml)$")

# Keys that a reader of their own takes: where their tables are.
CUSTOM = {
    "global": ("config_scrape", "CONFIG_GLOBAL"), "scrape_configs": ("config_scrape", "CONFIG_SCRAPE"),
    "static_configs": ("config_discovery", "CONFIG_TARGET_GROUP"),
    "file_sd_configs": ("config_discovery", "FILE_TABLE"),
    "http_sd_configs": ("config_discovery", "HTTP_TABLE"),
    "dns_sd_configs": ("config_discovery", "DNS_TABLE"),
    "kubernetes_sd_configs": ("config_discovery", "KUBE_TABLE"),
    **{k: ("config_relabel", "CONFIG_RELABEL") for k in
       ("relabel_configs", "metric_relabel_configs", "alert_relabel_configs",
        "write_relabel_configs")},
}
ONCE = {"CONFIG_RELABEL", "CONFIG_HTTP", "CONFIG_HTTP_NO_HTTP2", "CONFIG_TLS", "FILE_TABLE",
        "HTTP_TABLE", "DNS_TABLE", "KUBE_TABLE", "CONFIG_TARGET_GROUP", "PROXY"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def words(text):
    """The C string literals of `text`, joined."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"')


class Tables:
    """The bind tables by (file, name)."""

    def __init__(self):
        self.fields, self.tables = {}, {}
        header = read("observe/config/config_internal.h").replace("\\\n", "\n")
        rows = header[header.index("#define CONFIG_DISCOVERY_ROWS"):header.index("/* config_scrape.c")]
        rows = re.sub(r'CONFIG_NO_DISCOVERY\("(\w+)"\)',
                      r'{.key = "\1_sd_configs", .kind = BIND_REFUSED, .note = "static, file, http, '
                      r'dns and kubernetes discovery are"}', rows)
        for path in SOURCES + ["observe/rules/rule_file.c"]:
            name = os.path.basename(path)[:-2]
            text = read(path).replace("CONFIG_DISCOVERY_ROWS,", rows + ",")
            for m in re.finditer(r"bind_field (\w+)\[\] = \{(.*?)\{0\}\};", text, re.S):
                self.fields[name, m.group(1)] = self.rows(m.group(2))
            for m in re.finditer(r"bind_table (\w+) = \{\s*\.fields = (\w+)", text):
                self.tables[name, m.group(1)] = (name, m.group(2))

    @staticmethod
    def rows(text):
        """(key, kind, table, note) of each row."""
        out = []
        for part in re.split(r"(?=\.key = )", text)[1:]:
            key = re.match(r'\.key = "([^"]*)"', part).group(1)
            kind = re.search(r"\.kind = BIND_(\w+)", part).group(1)
            table = re.search(r"\.table = &(\w+)", part)
            note = re.search(r'\.note = ((?:\s*"(?:[^"\\]|\\.)*")+)', part)
            out.append((key, kind, table and table.group(1), words(note.group(1)) if note else ""))
        return out

    def find(self, here, table):
        """The table's place: in its own file, or wherever it is public."""
        if (here, table) in self.tables:
            return here, table
        return next((k for k in self.tables if k[1] == table), None)

    def walk(self, place, prefix, seen, out):
        for key, kind, table, note in self.fields[self.tables[place]]:
            path = f"{prefix}.{key}" if prefix and key else prefix or key
            inner = self.find(place[0], table) if table else CUSTOM.get(key)
            if key:
                out.append((path, kind, note))
            if not inner or kind == "REFUSED":
                continue
            if inner[1] in ONCE and (inner, bool(key)) in seen and key:
                continue
            seen = seen | {(inner, bool(key))}
            self.walk(inner, path, seen, out)


class Tests:
    """Texts of the tests, to find who names a key."""

    def __init__(self):
        self.texts = []
        for folder, _, names in os.walk(os.path.join(ROOT, "tests")):
            paths = [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
            self.texts += [(path, read(path)) for path in paths if TESTS.match(path)]
        self.texts.sort(key=lambda t: (t[0].endswith(".yml"), t[0]))

    def who(self, word, after=r"(?![\w])"):
        """The first test that has the word; `after` is what must follow it."""
        pattern = re.compile(r"(?<![\w.])" + re.escape(word) + after)
        return next((f"`{path}`" for path, text in self.texts
                     if word in text and pattern.search(text)), "-")


KEY_END = r"[\"\\']{0,2}\s*:"  # a key of YAML, also in quotes


def config_rows(tables, tests):
    out = []
    tables.walk(("config", "FILE_TABLE"), "", frozenset(), out)
    done = set()
    for path, kind, note in out:
        if path in done:
            continue
        done.add(path)
        status = {"REFUSED": f"refused: {note}", "SECRET_REF": "refused: name a file instead"}
        yield f"`{path}`", status.get(kind, "yes"), tests.who(path.split(".")[-1], KEY_END)


def rule_rows(tables, tests):
    out = []
    tables.walk(("rule_file", "FILE_TABLE"), "", frozenset(), out)
    for path, _, _ in out:
        yield f"`{path}`", "yes", tests.who(path.split(".")[-1], KEY_END)


def flag_rows(tests):
    text = read("observe/flags.c")
    names = dict(re.findall(r'static const char (\w+)\[\] =\s*((?:\s*"(?:[^"\\]|\\.)*")+);', text))
    rows = re.findall(r'\{"([a-z][\w.-]*)", ([A-Z]+), ([A-Z_0-9 |]+), (?:AT\(\w+\)|NOWHERE),'
                      r'\s*("(?:[^"\\]|\\.)*"|NULL),\s*([^}]*)\}', text)
    for name, kind, flags, _, note in rows:
        note = words(names.get(note.strip(), note))
        status = "yes" if kind != "REFUSED" else f"refused: {note}"
        status = "taken, no effect" if "NO_EFFECT" in flags else status
        status = "ours" if "OURS" in flags else status
        yield f"`--{name}`", status, tests.who(name)


def route_rows(tests):
    for path, method, work in re.findall(r'\{"(/[^"]*)",\s+(\w+),\s+(\w+)',
                                         read("observe/api/routes.c")):
        if work.startswith(("api_jaeger_", "api_tempo_")):  # not Prometheus's: pages of their own
            continue
        tail = path.replace("/api/v1/", "").split("/:")[0]
        yield f"`{path}`", {"ANY_READ": "GET, POST", "ANY_WRITE": "POST, PUT"}.get(method, method), \
            tests.who(tail)


def function_rows(tests):
    for name, stability in re.findall(r"X\((\w+), \w, -?\d+, (STABLE|EXPERIMENTAL)",
                                      read("observe/promql/functions.h")):
        yield f"`{name}`", "yes" if stability == "STABLE" else "experimental", tests.who(name)


def section(title, head, rows):
    lines = [f"## {title}", "", f"| {head} | status | test |", "|---|---|---|"]
    return lines + [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
                    for row in rows] + [""]


def page():
    tables, tests = Tables(), Tests()
    lines = ["# What of Prometheus is supported", "",
             "Made by `scripts/compat.py` from the tables that the program runs on; do not edit. A key or "
             "flag that is",
             "not here is an error with its line, as it is in Prometheus; one that is refused says what to "
             "do instead.", "A table that stands in several places is told in full once.", ""]
    lines += section("prometheus.yml", "key", config_rows(tables, tests))
    lines += section("Rule files", "key", rule_rows(tables, tests))
    lines += section("Flags of `sextant observe`", "flag", flag_rows(tests))
    lines += section("HTTP", "path", route_rows(tests))
    lines += section("PromQL functions", "function", function_rows(tests))
    return "\n".join(lines)


def supported(text):
    """The rows without their tests."""
    return [line.rsplit("|", 2)[0] if line.startswith("|") else line for line in text.splitlines()]


def main():
    text = page()
    if "--check" in sys.argv[1:]:  # tests come and go; what is supported must hold
        if supported(read(os.path.relpath(OUT, ROOT))) != supported(text):
            sys.exit("docs/compat/prometheus.md is not what the tables say: run scripts/compat.py")
        return
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()

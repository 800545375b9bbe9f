"""`sextant tsdb`: directories filled, listed, written out, thinned; promtool reads the same."""
import os
import subprocess

import pytest

from lib.observe import PROMTOOL

START = 1600000000  # long ago, so that all of it goes into blocks
LINES = [f'reads_total{{disk="{d}"}} {i * (1 if d == "a" else 1e-7)} {START + 60 * i}'
         for d in "ab" for i in range(300)]
TEXT = "# TYPE reads counter\n" + "\n".join(LINES) + "\n# EOF\n"


@pytest.fixture
def tsdb(sextant_bin):
    def run(*args, status=0):
        out = subprocess.run([sextant_bin, "tsdb", *args], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=120, check=False)
        assert out.returncode == status, out.stdout + out.stderr
        return out
    return run


@pytest.fixture
def data(tsdb, tmp_path):
    (tmp_path / "old.om").write_text(TEXT)
    out = tsdb("backfill", str(tmp_path / "old.om"), str(tmp_path / "data"), "--label", "site=x")
    assert out.stdout == "600 samples taken\n"
    return str(tmp_path / "data")


def test_what_was_taken_is_written_out_as_promtool_does(tsdb, data):
    ours = tsdb("dump", data).stdout.splitlines()
    assert len(ours) == 600
    assert ours[1] == f'{{__name__="reads_total", disk="a", site="x"}} 1 {(START + 60) * 1000}'
    if not os.path.exists(PROMTOOL):
        pytest.skip("no promtool")
    theirs = subprocess.run([PROMTOOL, "tsdb", "dump", data], text=True, stdout=subprocess.PIPE,
                            timeout=120, check=True).stdout.splitlines()
    assert sorted(theirs) == sorted(ours)


def test_export_can_be_taken_again(tsdb, data, tmp_path):
    first = tsdb("export", data).stdout
    assert first.endswith("# EOF\n") and f" {START + 60}.000\n" in first
    (tmp_path / "again.om").write_text(first)
    tsdb("backfill", str(tmp_path / "again.om"), str(tmp_path / "other"))
    assert tsdb("export", str(tmp_path / "other")).stdout == first


def test_a_selector_and_times_choose(tsdb, data):
    some = tsdb("dump", data, "--match", 'reads_total{disk="b"}', "--max-time",
                str((START + 600) * 1000)).stdout.splitlines()
    assert len(some) == 11 and all('disk="b"' in line for line in some)


def test_verify_counts_what_can_be_read(tsdb, data):
    assert tsdb("verify", data).stdout == f"{data}: 600 samples of 2 series can be read\n"


def test_deleted_samples_are_gone(tsdb, data):
    tsdb("delete", data, "--match", 'reads_total{disk="a"}')
    left = tsdb("dump", data).stdout.splitlines()
    assert len(left) == 300 and not any('disk="a"' in line for line in left)
    assert "--match" in tsdb("delete", data, status=1).stderr


def test_list_and_snapshot(tsdb, data):
    copy = tsdb("snapshot", data).stdout.strip()
    rows = tsdb("list", copy).stdout.splitlines()
    assert rows[0].startswith("BLOCK ULID") and len(rows) > 1
    assert tsdb("dump", copy).stdout == tsdb("dump", data).stdout


@pytest.mark.parametrize("text,words", [
    ("a 1\n# EOF\n", "expected timestamp"), ("a 1 1\n", "bad.om"), ("a{ 1 1\n# EOF\n", "bad.om")])
def test_a_bad_file_is_refused(tsdb, tmp_path, text, words):
    (tmp_path / "bad.om").write_text(text)
    out = tsdb("backfill", str(tmp_path / "bad.om"), str(tmp_path / "data"), status=1)
    assert words in out.stderr


def test_a_directory_that_is_not_there_is_said_so(tsdb, tmp_path):
    assert "nowhere" in tsdb("list", str(tmp_path / "nowhere"), status=1).stderr


def tables(text):
    """Heads, and rows by table: in a table promtool leaves rows of the same number in any order."""
    head, *rest = text.split("\n\n")
    return head.splitlines(), {t.splitlines()[0]: sorted(t.splitlines()[1:]) for t in rest if t.strip()}


@pytest.mark.skipif(not os.path.exists(PROMTOOL), reason="no promtool")
@pytest.mark.parametrize("flags", [(), ("--match={job=\"a\"}",)])
def test_analyze_and_list_are_promtools(sextant_bin, tmp_path, flags):
    lines = [f'm{n}{{job="{"ab"[n % 2]}",instance="i{k}"}} {n * k} {1600000000 + 60 * n + k}'
             for n in range(5) for k in range(3)]
    source = tmp_path / "in.om"
    source.write_text("\n".join(lines) + "\n# EOF\n")

    def run(*args):
        out = subprocess.run([str(a) for a in args], text=True, timeout=60, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False)
        assert out.returncode == 0, out.stderr
        return out.stdout
    run(PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", "-q", source, tmp_path / "db")
    flags = (*flags, "--limit=1000")
    theirs = tables(run(PROMTOOL, "tsdb", "analyze", *flags, tmp_path / "db"))
    assert tables(run(sextant_bin, "tsdb", "analyze", *flags, tmp_path / "db")) == theirs
    for more in ((), ("-r",)):
        assert [row.split() for row in run(sextant_bin, "tsdb", "list", *more, tmp_path / "db").splitlines()] == \
            [row.split() for row in run(PROMTOOL, "tsdb", "list", *more, tmp_path / "db").splitlines()]

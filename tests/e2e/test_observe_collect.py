"""The host's built-in collector beside Debian's node_exporter: the same names and labels, near values."""
import os
import shutil
import subprocess

import pytest
import requests

from lib.observe import PROMTOOL, Observe
from lib.service import free_port
from lib.wait import wait_for

EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")

# Collectors of hardware and file systems that machines of ours seldom have, and what is about the
# exporter itself.
NOT_OURS = ("node_exporter_build_info", "node_scrape_collector_", "node_selinux_", "node_textfile_",
            "node_cpu_frequency_", "node_cpu_scaling_", "node_hwmon_", "node_thermal_", "node_cooling_",
            "node_power_supply_", "node_dmi_", "node_edac_", "node_xfs_", "node_btrfs_", "node_md_",
            "node_nvme_", "node_bonding_", "node_rapl_", "node_nfs", "node_zfs_", "node_ipvs_",
            "node_infiniband_", "node_fibrechannel_", "node_disk_device_mapper_info",
            "node_disk_filesystem_info", "node_disk_ata_")
# What is told about devices by udev, which the exporter alone asks.
INFO = ("node_disk_info",)


def parse(text):
    """{series: value} and {family: type}."""
    lines = [line for line in text.splitlines() if line]
    series = dict(line.rsplit(" ", 1) for line in lines if line.startswith("node_"))
    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE node_"))
    return {k: float(v) for k, v in series.items()}, types


@pytest.fixture
def app(serve, sextant_bin, tmp_path):
    return Observe(serve, sextant_bin, str(tmp_path))


def test_the_host_is_as_node_exporter_has_it(app, spawn):
    if not EXPORTER:
        pytest.skip("no node_exporter")
    address = f"127.0.0.1:{free_port()}"
    spawn(EXPORTER, f"--web.listen-address={address}", name="node_exporter")

    def scraped():
        try:
            return requests.get(f"http://{address}/metrics", timeout=30).text
        except OSError:
            return None
    wait_for(scraped, 30)
    (theirs, their_types), (ours, our_types) = parse(scraped()), parse(
        requests.get(app.url("/collect/host"), timeout=30).text)
    missing = [k for k in theirs if k not in ours and not k.startswith(NOT_OURS + INFO)]
    assert not missing
    assert {n: t for n, t in their_types.items() if n in our_types} == \
        {n: our_types[n] for n in their_types if n in our_types}
    far = {k: (v, ours[k]) for k, v in theirs.items() if k in ours and
           not k.startswith(("node_timex_", "node_procs_", "node_sockstat_", "node_scrape_"))
           and abs(v - ours[k]) > 0.2 * max(abs(v), abs(ours[k])) + 2000
           and "memory" not in k and "disk" not in k}
    assert not far
    for name in ("node_memory_MemTotal_bytes", "node_boot_time_seconds"):
        assert ours[name] == theirs[name]


def test_it_is_scraped_like_any_target(app):
    text = requests.get(app.url("/collect/host"), timeout=30)
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    ours, _ = parse(text.text)
    assert ours['node_scrape_collector_success{collector="cpu"}'] == 1
    if os.path.exists(PROMTOOL):
        out = subprocess.run([PROMTOOL, "check", "metrics", "--extended", "--lint=none"], text=True,
                             input=text.text, timeout=60, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False)
        assert out.returncode == 0, out.stderr

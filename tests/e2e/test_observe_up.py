"""`sextant up` keeps the metrics of the geocoder, of its visitor and of itself."""
import json

from lib.observe import Api
from lib.wait import wait_for


def test_up_scrapes_the_geocoder_and_itself(spawn, sextant_bin, tmp_path):
    state = tmp_path / "state"
    up = spawn(sextant_bin, "up", "--dir", state, "--metrics", "127.0.0.1:0", "--listen", "127.0.0.1:0", name="up")
    wait_for(lambda: "Sextant is up" in up.stdout(), 60, "sextant up")
    targets = json.loads((state / "observe" / "targets.json").read_text())
    address = {t["labels"]["service"]: t["targets"][0] for t in targets}
    app = Api(address["observe"])
    wait_for(lambda: {s["metric"]["service"]: s["value"][1] for s in app.query("up")} ==
             {"geocode": "1", "observe": "1", "visitor": "1"}, 60, "all scraped")
    wait_for(lambda: {s["metric"]["job"] for s in app.query("up")} >= {"geocode", "observe", "visitor", "node"}, 60,
             "each a service of its own")
    # The visitor asks, so that there is something to see.
    wait_for(lambda: app.query("http_requests_total{job='geocode',route='/search/csv/'}"), 60, "a file answered")
    assert app.query("process_resident_memory_bytes{service='geocode'}")
    wait_for(lambda: app.query("node_load1{job='node'}"), 60, "the machine's own metrics")
    assert up.stop() == 0
    # What it wrote once may be edited: it is not written again.
    assert (state / "observe" / "prometheus.yml").read_text().startswith("# Written once")

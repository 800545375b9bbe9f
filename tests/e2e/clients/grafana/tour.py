"""What a Python program does with Grafana's API, by the package grafana-client; JSON of what it saw."""
import json
import sys

from grafana_client import GrafanaApi
from grafana_client.client import GrafanaBadInputError, GrafanaClientError
from grafana_client.model import DatasourceIdentifier


def status_of(call, *args, **more):
    """The status that a call fails with."""
    try:
        call(*args, **more)
    except GrafanaClientError as e:
        return e.status_code
    return 200


def main():
    api = GrafanaApi.from_url(sys.argv[1])
    seen = {"health": api.health.check()["edition"], "version": api.version,
            "org": api.organization.get_current_organization()["id"]}
    folder = api.folder.create_folder("From Python", uid="py")
    api.folder.create_folder("Below", uid="below", parent_uid="py")
    seen["folders"] = [f["uid"] for f in api.folder.get_all_folders()]
    seen["below"] = [f["uid"] for f in api.folder.get_all_folders(parent_uid="py")]
    seen["renamed"] = api.folder.update_folder("py", title="Renamed", version=folder["version"])
    made = api.dashboard.update_dashboard(
        {"dashboard": {"title": "By hand", "tags": ["py"]}, "folderUid": "py", "message": "first"})
    read = api.dashboard.get_dashboard(made["uid"])
    seen["meta"] = read["meta"]
    read["dashboard"]["title"] = "By hand, again"
    seen["again"] = api.dashboard.update_dashboard(read)["version"]
    seen["stale"] = status_of(api.dashboard.update_dashboard, read)
    seen["search"] = api.search.search_dashboards(query="by hand", tag="py")
    seen["tags"] = api.dashboard.get_dashboards_tags()
    versions = api.dashboard_versions.get_dashboard_versions(dashboard_uid=made["uid"])
    seen["versions"] = versions
    api.dashboard_versions.restore_dashboard(dashboard_uid=made["uid"], version_id=1)
    seen["restored"] = api.dashboard.get_dashboard(made["uid"])["dashboard"]["title"]
    seen["permissions"] = api.dashboard.get_permissions_by_uid(made["uid"])
    note = api.annotations.add_annotation(time_from=1000, time_to=2000, tags=["deploy"], text="v1",
                                          dashboard_uid=made["uid"])
    api.annotations.partial_update_annotation(note["id"], text="v2", tags=["deploy"])
    seen["notes"] = api.annotations.get_annotation(time_from=500, time_to=5000, tags=["deploy"])
    api.annotations.delete_annotations_by_id(note["id"])
    seen["notes_after"] = api.annotations.get_annotation(time_from=500, time_to=5000)
    seen["sources"] = [s["uid"] for s in api.datasource.list_datasources()]
    seen["source"] = api.datasource.get(DatasourceIdentifier(name="Prometheus"))["uid"]
    seen["source_health"] = api.datasource.health("prometheus")["status"]
    seen["query"] = api.datasource.query(datasource_uid="prometheus", query="1 + 1")
    seen["add_source"] = status_of(api.datasource.create_datasource, {"name": "X", "type": "loki"})
    seen["delete_source"] = status_of(api.datasource.delete_datasource_by_uid, "prometheus")
    seen["deleted"] = api.dashboard.delete_dashboard(made["uid"])
    seen["gone"] = status_of(api.dashboard.get_dashboard, made["uid"])
    try:
        api.dashboard.update_dashboard({"dashboard": {"title": ""}})
    except GrafanaBadInputError as e:
        seen["empty"] = str(e)
    api.folder.delete_folder("py")
    seen["folders_after"] = [f["uid"] for f in api.folder.get_all_folders()]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()

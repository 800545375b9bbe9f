// api.ts - the dashboards on the server, by Grafana's addresses.
import { call } from "../base/data";
import { may } from "../base/me";
import { writeDashboard } from "./write";
import type { Dashboard, Json } from "./model";

export interface Hit {
  uid: string;
  title: string;
  url: string; // "/d/UID/slug"
  type: "dash-db" | "dash-folder";
  tags: string[];
  isStarred: boolean;
  folderUid?: string;
  folderTitle?: string;
  provisioned?: boolean;
}

export interface Folder { uid: string; title: string; parentUid?: string }

export interface Meta {
  canSave?: boolean;
  canEdit?: boolean;
  canStar?: boolean;
  canDelete?: boolean;
  isStarred?: boolean;
  provisioned?: boolean;
  provisionedExternalId?: string;
  folderUid?: string;
  folderTitle?: string;
  url?: string;
  slug?: string;
  version?: number;
  created?: string;
  createdBy?: string;
  updated?: string;
  updatedBy?: string;
}

const SEARCH_MAX = 5000;

export const search = (more = ""): Promise<Hit[]> => call("GET", `/api/search?type=dash-db&limit=${SEARCH_MAX}${more}`);
export const folders = (): Promise<Folder[]> => call("GET", "/api/folders?limit=1000");
export const load = (uid: string): Promise<{ dashboard: Json; meta: Meta }> => call("GET", `/api/dashboards/uid/${encodeURIComponent(uid)}`);
export const remove = (uid: string): Promise<unknown> => call("DELETE", `/api/dashboards/uid/${encodeURIComponent(uid)}`);
export const star = (uid: string, on: boolean): Promise<unknown> =>
  call(on ? "POST" : "DELETE", `/api/user/stars/dashboard/uid/${encodeURIComponent(uid)}`);

export interface Saved { uid: string; url: string; version: number; status: string }

export function save(d: Dashboard, more: { folderUid?: string; message?: string; overwrite?: boolean } = {}): Promise<Saved> {
  return call("POST", "/api/dashboards/db", { dashboard: writeDashboard(d), overwrite: false, ...more });
}

export const addressOf = (hit: { uid: string; url?: string }): string => hit.url?.replace(/^.*?\/d\//, "/d/") || `/d/${encodeURIComponent(hit.uid)}`;

// Whether one may store anything; the server decides.
export const mayEdit = (): boolean => may("editor");

// ---- dashboards that are shown without being stored

const KEPT = "sextant.dashboard.";
export const isUnsaved = (uid: string): boolean => uid.startsWith("new-");

export function keepUnsaved(json: unknown): string {
  const uid = `new-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
  sessionStorage.setItem(KEPT + uid, JSON.stringify(json));
  return uid;
}

export function unsaved(uid: string): unknown {
  const text = sessionStorage.getItem(KEPT + uid);
  if (text === null) throw new Error("This dashboard was never saved and is no longer in this tab. Drop its file again.");
  return JSON.parse(text);
}

export const forgetUnsaved = (uid: string): void => sessionStorage.removeItem(KEPT + uid);

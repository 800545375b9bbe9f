// rule.ts - what /api/v1/rules answers, for the pages of alerts, rules and the home page.
import type { Labels } from "../base/format";
import type { Tone } from "./bits";

export type AlertState = "firing" | "pending" | "inactive" | "unknown";

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: AlertState;
  activeAt: string;
  value: string;
}

export interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  labels?: Labels;
  annotations?: Labels;
  health: "ok" | "err" | "unknown";
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
  state?: AlertState;
  duration?: number;
  keepFiringFor?: number;
  alerts?: Alert[];
}

export interface Group {
  name: string;
  file: string;
  interval: number;
  evaluationTime: number;
  lastEvaluation: string;
  rules: Rule[];
}

export const STATE_TONE: Record<AlertState, Tone> = { firing: "bad", pending: "warn", inactive: "good", unknown: "calm" };
export const HEALTH_TONE: Record<Rule["health"], Tone> = { ok: "good", err: "bad", unknown: "calm" };

const RANK: Record<AlertState, number> = { firing: 0, pending: 1, unknown: 2, inactive: 3 };
export const byTrouble = (a: Rule, b: Rule): number => RANK[a.state ?? "inactive"] - RANK[b.state ?? "inactive"];

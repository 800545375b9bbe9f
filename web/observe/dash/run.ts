// run.ts - asks what a plan says, in its turn, and gives the frames: one answer when all of it is there.
import { ask, call, encode } from "../base/data";
import { evaluate } from "./expressions";
import type { Frame } from "./frame";
import { inTurn } from "./queue";
import type { Ask, Plan } from "./sources";
import { ALL, interpolate } from "./interpolate";
import type { Scope } from "./scope";
import { transform, type TransformContext } from "./transform/index";

export interface Asked { // what the inspector tells of one request
  refId: string;
  expr: string;
  address: string;
  took_ms: number;
  bytes: number;
  series: number;
  stats?: { timings: Record<string, number>; samples: { totalQueryableSamples: number; peakSamples: number } };
  error?: string;
}

export interface Result {
  plan: Plan;
  frames: Frame[]; // before transformations
  asked: Asked[];
  error?: string;
  notices: string[];
}

export const transforming = (scope: Scope): TransformContext => ({
  zone: scope.zone, interpolate: (text) => interpolate(text, scope, "text"),
  variable: (name) => {
    const v = scope.values[name];
    const values = v ? [v.value].flat() : [];
    return values.includes(ALL) ? (v?.all ?? []) : values;
  },
});

async function askOne(a: Ask, rank: () => number, signal: AbortSignal): Promise<{ frames: Frame[]; asked: Asked; notices: string[] }> {
  const address = `${a.path}?${encode(a.query)}`;
  const asked: Asked = { refId: a.target.refId, expr: a.expr, address, took_ms: 0, bytes: 0, series: 0 };
  try {
    const reply = await inTurn(async () => {
      if (!a.bare) return ask<any>(a.path, a.query, signal);
      const began = performance.now();
      const data = await call<any>("GET", address, undefined, signal);
      return { data, warnings: [], infos: [], bytes: 0, took_ms: performance.now() - began };
    }, rank, signal);
    const frames = a.frames(reply.data).map((f) => (f.refId ? f : { ...f, refId: a.target.refId }));
    return {
      frames, notices: [...(reply.warnings ?? []), ...(reply.infos ?? [])],
      asked: { ...asked, took_ms: reply.took_ms, bytes: reply.bytes, series: Array.isArray(reply.data?.result) ? reply.data.result.length : frames.length, stats: reply.data?.stats },
    };
  } catch (e) {
    if (signal.aborted) throw e;
    return { frames: [], notices: [], asked: { ...asked, error: a.optional ? undefined : (e as Error).message } };
  }
}

export async function run(plan: Plan, rank: () => number, signal: AbortSignal): Promise<Result> {
  if (!plan.parts.length) return { plan, frames: [], asked: [], notices: [] };
  const parts = await Promise.all(plan.parts.map(async (p) => {
    if ("path" in p) return askOne(p, rank, signal);
    const of = await run(p.of, rank, signal);
    const frames = p.transformations.length ? transform(of.frames, p.transformations, transforming(plan.scope)) : of.frames;
    return { frames, notices: of.notices, asked: of.asked, error: of.error };
  }));
  const asked = parts.flatMap((p) => p.asked);
  const errors = [...new Set(asked.flatMap((a) => (a.error ? [plan.parts.length > 1 ? `${a.refId}: ${a.error}` : a.error] : [])))];
  const notices = [...new Set(parts.flatMap((p) => p.notices))];
  let frames = parts.flatMap((p) => p.frames);
  if (plan.expressions.length) {
    const made = evaluate(plan.expressions, frames, plan);
    frames = [...frames.filter((f) => !plan.hidden.includes(f.refId ?? "")), ...made.frames];
    notices.push(...made.notices);
  }
  return { plan, frames, asked, notices, error: errors.join("\n") || undefined };
}

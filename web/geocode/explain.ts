// explain.ts - why a result was found: what each word of the query has met, and what its score is
// made of, as the server tells with explain=1. Asked for only while the view is open.
import { explained, type Explanation, type Feature, type ScorePart, type SearchSteps } from "./api";
import { by, h, number } from "./dom";

const PARTS: Record<string, string> = {
  similarity: "letters in common with the label",
  words: "words in common with the label",
  letters: "letters in common with the label",
  importance: "importance of the place",
  nearness: "nearness to the point",
};

const share = (x: number): string => x.toFixed(3);

export class ExplainView {
  private details = by<HTMLDetailsElement>("why");
  private feature: Feature | null = null;
  private href = "";
  private asked: AbortController | null = null;

  constructor() {
    this.details.addEventListener("toggle", () => void this.load());
  }

  // `href` has answered with `feature`.
  show(feature: Feature, href: string): void {
    this.feature = feature;
    this.href = href;
    by("explain").replaceChildren();
    void this.load();
  }

  private async load(): Promise<void> {
    const { feature, href } = this;
    this.asked?.abort();
    if (!this.details.open || !feature) return;
    const mine = (this.asked = new AbortController());
    const into = by("explain");
    into.setAttribute("aria-busy", "true");
    try {
      const answer = await explained(href, mine.signal);
      const found = answer.features.find((f) => f.properties.label === feature.properties.label);
      into.replaceChildren(
        ...(found?.explain ? drawn(found, found.explain, answer.explain) : ["The index has changed: search again."]),
      );
    } catch (e) {
      if (!mine.signal.aborted) into.replaceChildren((e as Error).message);
    } finally {
      if (this.asked === mine) into.removeAttribute("aria-busy");
    }
  }
}

function drawn(f: Feature, x: Explanation, steps?: SearchSteps): HTMLElement[] {
  const out = [h("h3", {}, `Score ${share(f.properties.score)}`), bar(x.score), parts(x.score)];
  if (x.tokens?.length) out.push(h("h3", {}, "Words of the query"), words(x));
  if (x.label) out.push(h("p", {}, "Compared with the label ", h("b", {}, x.label), "."));
  if (steps) out.push(search(steps));
  return out;
}

// Its whole width is a score of 1. The numbers stand in the list below it.
function bar(score: ScorePart[]): HTMLElement {
  const made = h("div", { class: "stack", "aria-hidden": "true" });
  for (const part of score) {
    const piece = h("span", { class: part.part });
    piece.style.width = `${Math.max(0, 100 * part.points).toFixed(2)}%`;
    made.append(piece);
  }
  return made;
}

function parts(score: ScorePart[]): HTMLElement {
  return h(
    "ul",
    { class: "parts" },
    ...score.map((p) =>
      h(
        "li",
        {},
        h("span", { class: `dot ${p.part}` }),
        h("span", {}, PARTS[p.part] ?? p.part, h("small", {}, `${share(p.value)} × ${share(p.weight)}`)),
        h("span", { class: "score" }, share(p.points)),
      ),
    ),
  );
}

function words(x: Explanation): HTMLElement {
  const rows = (x.tokens ?? []).map((t) => {
    const edits = t.edits && t.means === "typing error" ? ` (${t.edits})` : "";
    const met = t.met ? h("td", {}, t.met) : h("td", { class: "none" }, "nothing");
    const sound = t.became === t.text ? "" : `looked for as ${t.became}`;
    return h("tr", {}, h("th", { scope: "row" }, t.text, ...(sound ? [h("small", {}, sound)] : [])), met,
      h("td", {}, t.means === "none" ? "" : t.means + edits));
  });
  const head = h("tr", {}, ...["Word", "Has met", "By"].map((c) => h("th", { scope: "col" }, c)));
  const table = h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Words of the query" }, table);
}

function search(steps: SearchSteps): HTMLElement {
  const total = Object.values(steps.us).reduce((a, b) => a + b, 0);
  const phases = Object.entries(steps.us).map(([phase, us]) => `${phase} ${us.toFixed(1)}`).join(", ");
  return h(
    "details",
    {},
    h("summary", {}, `The search took ${total.toFixed(0)} µs`),
    h("p", {}, `In microseconds: ${phases}.`),
    h("ol", {}, ...steps.steps.map((s) => h("li", {}, `${s.step}: ${number(s.candidates)} candidates, ${s.us.toFixed(1)} µs`))),
  );
}

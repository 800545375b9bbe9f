// range_copy.ts - the time range by the clipboard, from page to page and from window to window. Where the
// browser gives no clipboard, what was copied in this page is pasted.
import { rangeFromText, rangeToText } from "../base/range_text";
import { tell } from "../base/store";
import { from, setRange, to } from "../base/time";
import { copyText } from "./bits";

let last = "";

export async function copyRange(): Promise<void> {
  last = rangeToText(from.value, to.value);
  await copyText(last).catch(() => undefined);
  tell(`The time range is copied: ${from.value} to ${to.value}.`);
}

export async function pasteRange(): Promise<void> {
  const text = (await navigator.clipboard?.readText?.().catch(() => "")) || last;
  const range = rangeFromText(text, Date.now());
  if (!range) return tell(text ? "What was copied is no time range." : "No time range was copied, or the browser does not let it be read.", true);
  setRange(...range);
  tell(`The time range is now ${range[0]} to ${range[1]}.`);
}

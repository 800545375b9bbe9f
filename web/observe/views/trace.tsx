// trace.tsx - one trace (/trace/ID), or two beside each other (/trace/A...B).
import { route } from "../base/route";
import { Empty } from "../parts/bits";
import { Compare } from "../traces/compare";
import { TracePage } from "../traces/page";

export default function TraceView() {
  const id = decodeURIComponent(route.value.path.slice("/trace/".length));
  const two = /^([^.]+)\.\.\.([^.]+)$/.exec(id);
  if (two) return <Compare key={id} a={two[1]} b={two[2]} />;
  if (!/^([0-9a-f]{1,32}|file-\d+)$/i.test(id))
    return <Empty title="This is no trace's id"><p>A trace's id has up to 32 digits, 0 to 9 and a to f. Two ids with ... between them are compared.</p></Empty>;
  return <TracePage key={id} id={id} />;
}

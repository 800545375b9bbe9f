// state_timeline.tsx - how long each state lasted.
import type { PanelProps } from "./panel";
import { StatesPanel } from "./states";

export default function StateTimeline(props: PanelProps) {
  return <StatesPanel props={props} each={false} />;
}

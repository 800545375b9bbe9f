// status_history.tsx - the state at each sample.
import type { PanelProps } from "./panel";
import { StatesPanel } from "./states";

export default function StatusHistory(props: PanelProps) {
  return <StatesPanel props={props} each />;
}

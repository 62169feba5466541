// Entry point: programs started on this machine.
export { planRun, type RunCommand, type RunOptions } from '../run/plan-run.ts';
export { planRunLayout, type RunLayoutOptions } from '../run/plan-run-layout.ts';

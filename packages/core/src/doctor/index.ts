export {
  type ExamineOptions,
  examineHost,
  type HostReport,
  type ServingRegistration,
} from './examine-host.ts';
export type { ExecWay, ExecWays, ExecWayTrial } from './exec-ways.ts';
export type { KernelFacts } from './kernel-facts.ts';
export type { Place } from './places.ts';

export { type ExamineOptions, examineHost } from './examine-host.ts';
export type { ExecWay, ExecWays, ExecWayTrial } from './exec-ways.ts';
export type { HostReport, ServingRegistration } from './host-report.ts';
export type { KernelFacts } from './kernel-facts.ts';
export type { Place } from './places.ts';

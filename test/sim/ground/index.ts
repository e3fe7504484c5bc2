export {
  drawFaultPlan,
  drawSwarm,
  type FaultPlan,
  type FaultPlanOptions,
  type FaultType,
  type MembershipChange,
  type NemesisFault,
  type NemesisStep,
  ORDERLY,
  withLeaving,
} from './faults.ts';
export { AmbientError, forbidAmbient } from './forbid-ambient.ts';
export { CALM_LINKS, LinkFaults, type LinkProfile } from './link-faults.ts';
export { type NemesisTargets, scheduleNemesis } from './nemesis.ts';
export { type RunEnd, type RunLimits, type Scheduled, Scheduler } from './scheduler.ts';
export { SimClock, type SimClockOptions } from './sim-clock.ts';
export { SimJournalDisk } from './sim-journal.ts';
export { type CrashPoint, ProcessGone, SimProcess } from './sim-process.ts';
export { SimSegments } from './sim-segments.ts';
export { SimDisk, type SimDiskOptions, SimStore } from './sim-store.ts';
export { Trace } from './trace.ts';

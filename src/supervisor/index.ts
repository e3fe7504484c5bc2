export type { BootClock } from './boot-clock.ts';
export { BoundedText, KEPT_EACH_BYTES } from './bounded-text.ts';
export { Capture, type OutputFacts } from './capture.ts';
export { type Census, MARK_VARIABLE, nameOfProcess, processesOf, type SeenProcess } from './census.ts';
export {
  type Ask,
  type CgroupBase,
  type HidingPrograms,
  hidesAgent,
  holdersOf,
  type Layers,
  LIMIT_NAMES,
  type LimitName,
  type Limits,
  NO_LAYERS,
  OPEN_POLICY,
  type Plan,
  planOf,
  Refusal,
  type WorkPolicy,
} from './confinement.ts';
export { type Launch, launchLine } from './launch-line.ts';
export { LIMIT_LABELS, layerLabels, SANDBOX_LABEL } from './layer-labels.ts';
export { type StoppedBy, stoppedByOf } from './limit-verdict.ts';
export { DEFAULT_PROGRAMS, MemoryRunner, type Program, type ProgramContext } from './memory-runner.ts';
export { MemorySpool } from './memory-spool.ts';
export { MemorySupervisor } from './memory-supervisor.ts';
export type { OutputStream, ProcessExit, ProcessRequest, Runner, RunningProcess } from './runner.ts';
export type { OutputArchive, SpoolChunk, SpoolPage, SpoolWriter } from './spool.ts';
export {
  type AdoptedAttempt,
  type EndedBy,
  type Inherited,
  type InterruptedAttempt,
  type SupervisedEnd,
  type SupervisedProcess,
  type SupervisedRequest,
  type Supervisor,
  SupervisorGone,
  type Survivor,
} from './supervised.ts';
export { UNREADABLE_SECRET } from './supervised-attempt.ts';
export { Supervision } from './supervision.ts';

import { existsSync, readFileSync } from 'node:fs';
import type { Execution } from './checks.ts';

/** When an attempt was seen alive. */
export interface Stamp {
  readonly job: string;
  readonly token: number;
  /** Since the machine booted: one clock for all agents of a lab, whatever their wall clocks say. Unit: s, to 10 ms. */
  readonly atSeconds: number;
}

export interface Ledger {
  /** Beginnings of attempts. */
  readonly executions: readonly Execution[];
  readonly stamps: readonly Stamp[];
}

/** How often a running attempt writes a line. Unit: s. */
const BEAT_S = 0.1;

/** @returns a shell script that writes a line as it begins and then one every tenth of a second, until it has worked for `workS`. */
export function ledgerScript(ledger: string, workS: number): string {
  const line = `read up rest < /proc/uptime; echo "$1 $ASPEN_JOB_ID $ASPEN_ATTEMPT $ASPEN_FENCING_TOKEN $up" >> '${ledger}'`;
  const beats = Math.round(workS / BEAT_S);
  return `note() { ${line}; }; note begin; n=0; while [ $n -lt ${beats} ]; do sleep ${BEAT_S}; note beat; n=$((n+1)); done`;
}

export function readLedger(path: string): Ledger {
  const lines = existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
  const rows = lines.map((line) => {
    const [kind, job = '', attempt, token, up] = line.split(' ');
    return { kind, job, attempt: Number(attempt), token: Number(token), atSeconds: Number(up) };
  });
  return {
    executions: rows
      .filter(({ kind }) => kind === 'begin')
      .map(({ job, attempt, token }) => ({ job, attempt, token })),
    stamps: rows.map(({ job, token, atSeconds }) => ({ job, token, atSeconds })),
  };
}

interface Life {
  readonly token: number;
  readonly first: number;
  readonly last: number;
}

/** @returns the attempts of each job that had several, each with the one after it. */
function successions(stamps: readonly Stamp[]): { job: string; before: Life; after: Life }[] {
  return [...Map.groupBy(stamps, ({ job }) => job)].flatMap(([job, ofJob]) => {
    const lives = [...Map.groupBy(ofJob, ({ token }) => token)]
      .map(([token, seen]) => lifeOf(token, seen))
      .sort((left, right) => left.token - right.token);
    return lives.slice(1).map((after, at) => ({ job, before: lives[at] as Life, after }));
  });
}

function lifeOf(token: number, seen: readonly Stamp[]): Life {
  const times = seen.map(({ atSeconds }) => atSeconds);
  return { token, first: Math.min(...times), last: Math.max(...times) };
}

/** An attempt was alive after a later one of the same job had begun: it was given away before its processes were ended. */
export function overlaps(stamps: readonly Stamp[]): string[] {
  return successions(stamps)
    .filter(({ before, after }) => before.last > after.first)
    .map(({ job, before, after }) => {
      const lateMs = Math.round((before.last - after.first) * 1_000);
      return `${job}: token ${before.token} was alive ${lateMs} ms after token ${after.token} had begun`;
    });
}

/** How long after the last sign of an attempt the next one of its job began, for each that was given away. Unit: ms. */
export function gapsMs(stamps: readonly Stamp[]): number[] {
  return successions(stamps).map(({ before, after }) => Math.round((after.first - before.last) * 1_000));
}

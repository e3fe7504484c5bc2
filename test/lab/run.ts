/**
 * Breaks a mesh of real agents and checks what its clients were told.
 *
 *   npm run lab                                  the short form: a few rounds, as in CI
 *   npm run lab -- --long                        every nemesis, several rounds each
 *   npm run lab -- --only kill-leader --rounds 50
 *   npm run lab -- --list | -o json | --seed N | --nodes N | --fault-ms N
 *
 * Needs root, iproute2 and nftables. Ends with 1 when a law was broken, 2 on wrong usage.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { removeLeftovers } from './ground.ts';
import { Laboratory } from './laboratory.ts';
import { machineNemeses } from './nemeses/machine.ts';
import { networkNemeses } from './nemeses/network.ts';
import { processNemeses } from './nemeses/processes.ts';
import type { Nemesis } from './nemesis.ts';
import { Random } from './random.ts';
import { type Report, tableOf } from './report.ts';
import { type Round, runRound } from './round.ts';
import { say, shortened } from './tools.ts';
import { startGrowingSet } from './workloads/growing-set.ts';
import { startJobs } from './workloads/jobs.ts';
import { startLocks } from './workloads/locks.ts';
import { startRegisters } from './workloads/registers.ts';
import { startTransactions } from './workloads/transactions.ts';

const NEMESES: readonly Nemesis[] = [...processNemeses, ...networkNemeses, ...machineNemeses];
/** What CI can afford in about four minutes. */
const SHORT: readonly string[] = [
  'kill-leader',
  'isolate-leader',
  'pause-leader',
  'kill-all',
  'bridge',
  'mute-leader',
  'loss-10',
  'reorder',
  'clock-jump',
  'disk-full',
];
const LONG_ROUNDS = 3;
const WRONG_USAGE = 2;

interface Plan {
  readonly nemeses: readonly Nemesis[];
  readonly rounds: number;
  readonly seed: number;
  readonly agents: number;
  readonly faultMs: number;
  readonly isJson: boolean;
}

class WrongUsage extends Error {}

try {
  await main();
} catch (error) {
  console.error(error instanceof WrongUsage ? error.message : error);
  process.exitCode = error instanceof WrongUsage ? WRONG_USAGE : 1;
}

async function main(): Promise<void> {
  const plan = readPlan();
  if (plan === undefined) return;
  const removed = await removeLeftovers();
  if (removed > 0) say(`removed what ${removed} earlier lab(s) had left`);
  const report = await runPlan(plan);
  console.log(plan.isJson ? JSON.stringify(report) : tableOf(report));
  const isBroken =
    report.rounds.length === 0 || report.rounds.some(({ violations }) => violations.length > 0);
  process.exitCode = isBroken ? 1 : 0;
}

async function runPlan(plan: Plan): Promise<Report> {
  const random = new Random(plan.seed);
  const rounds: Round[] = [];
  const skipped: Report['skipped'][number][] = [];
  await using laboratory = await Laboratory.open(plan.agents);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  for (const nemesis of plan.nemeses) {
    const reason = nemesis.needs?.(laboratory);
    if (reason !== undefined) skipped.push({ nemesis: nemesis.name, reason });
    else
      for (let at = 1; at <= plan.rounds && !stop.signal.aborted; at += 1)
        rounds.push(await oneRound(laboratory, nemesis, at, plan, random));
  }
  const machine = { cores: cpus().length, load: loadavg(), node: process.version };
  return { schema: 'aspen.lab.run/v1', machine, seed: plan.seed, agents: plan.agents, rounds, skipped };
}

async function oneRound(
  laboratory: Laboratory,
  nemesis: Nemesis,
  at: number,
  { faultMs }: Plan,
  random: Random,
): Promise<Round> {
  const name = `${nemesis.name}-${at}`;
  const workloads = [startRegisters, startTransactions, startLocks, startGrowingSet, startJobs];
  try {
    const round = await runRound(laboratory, { name, nemesis, workloads, faultMs, random });
    const outage = round.outageMs === null ? '' : `, next write after ${round.outageMs.toFixed(0)} ms`;
    const lost = round.checked.reduce((sum, { lostAttempts = 0 }) => sum + lostAttempts, 0);
    const gaps = round.checked.flatMap(({ leastGapMs }) => leastGapMs ?? []);
    const gap = gaps.length === 0 ? '' : `, ${Math.min(...gaps)} ms or more after they ended`;
    const verdict = round.violations.length === 0 ? 'ok' : `${round.violations.length} VIOLATIONS`;
    say(
      `${name}: ${verdict}, ${(round.tookMs / 1_000).toFixed(1)} s, ${round.elections} elections, ${lost} attempts given to others${gap}${outage}`,
    );
    for (const violation of round.violations) say(`  ${violation}`);
    if (round.violations.length > 0) say(shortened(laboratory.ground.cluster.report()));
    return round;
  } catch (error) {
    say(`${name}: ended with an error\n${shortened(laboratory.ground.cluster.report())}`);
    throw error;
  }
}

function readPlan(): Plan | undefined {
  const { values } = readFlags();
  if (values.list === true) {
    for (const { name } of NEMESES) console.log(name);
    return undefined;
  }
  if (values.output !== 'table' && values.output !== 'json') throw new WrongUsage('-o is table or json');
  const isLong = values.long === true;
  return {
    nemeses: chosen(values.only ?? [], isLong),
    rounds: whole('--rounds', values.rounds ?? String(isLong ? LONG_ROUNDS : 1), 1),
    seed: whole('--seed', values.seed, 0),
    agents: whole('--nodes', values.nodes, 3),
    faultMs: whole('--fault-ms', values['fault-ms'] ?? (isLong ? '12000' : '6000'), 100),
    isJson: values.output === 'json',
  };
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        short: { type: 'boolean' },
        long: { type: 'boolean' },
        list: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        seed: { type: 'string', default: '1' },
        nodes: { type: 'string', default: '3' },
        'fault-ms': { type: 'string' },
        output: { type: 'string', short: 'o', default: 'table' },
      },
    });
  } catch (error) {
    throw new WrongUsage(error instanceof Error ? error.message : String(error));
  }
}

function chosen(only: readonly string[], isLong: boolean): readonly Nemesis[] {
  const unknown = only.filter((name) => !NEMESES.some((nemesis) => nemesis.name === name));
  if (unknown.length > 0)
    throw new WrongUsage(
      `no nemesis "${unknown.join('", "')}"; there are ${NEMESES.map(({ name }) => name).join(', ')}`,
    );
  if (only.length > 0) return NEMESES.filter(({ name }) => only.includes(name));
  return isLong ? NEMESES : NEMESES.filter(({ name }) => SHORT.includes(name));
}

function whole(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new WrongUsage(`${flag} is a whole number of at least ${least}, not "${text}"`);
  return value;
}

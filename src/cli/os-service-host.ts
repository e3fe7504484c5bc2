import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { AspenError, CannotStart } from '../base/index.ts';
import type { ServiceHost, ServicePlan } from './service-unit.ts';

/** This machine, as far as services go. */
export function osServiceHost(env: ServiceHost['env']): ServiceHost {
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    home: env['HOME'] || homedir(),
    env,
    hasSystemd: existsSync('/run/systemd/system'),
  };
}

/** @throws AspenError DENIED where this user may not write there. */
export function writeService({ path, text }: ServicePlan): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o644 });
  } catch (cause) {
    const message = `cannot write ${path}: ${(cause as Error).message}; run it as root for the whole machine, choose --user, or see the text with --print`;
    throw new AspenError('DENIED', message, { cause, outcome: 'not-applied' });
  }
}

/** @throws CannotStart naming the command that failed and what it said. */
export function runServiceCommands({ commands }: Pick<ServicePlan, 'commands'>): void {
  for (const [program = '', ...args] of commands) {
    const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
    if (status === 0) continue;
    const said = error?.message ?? stderr.trim();
    throw new CannotStart(`${[program, ...args].join(' ')} failed: ${said}`);
  }
}

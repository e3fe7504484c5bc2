import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Runs a program of the system to its end. @throws Error with what it said on stderr. */
export function runTool(program: string, args: readonly string[], input = ''): void {
  execFileSync(program, [...args], { input, stdio: ['pipe', 'ignore', 'pipe'] });
}

export function isPresent(path: string): boolean {
  return existsSync(path);
}

/** One line on stderr: stdout is for results. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const LINE_LIMIT = 220;

/** Log lines carry whole stacks; their beginnings tell enough. */
export function shortened(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.length > LINE_LIMIT ? `${line.slice(0, LINE_LIMIT)}...` : line))
    .join('\n');
}

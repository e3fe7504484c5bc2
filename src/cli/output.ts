import { paint } from './color.ts';
import type { GlobalFlags } from './flags.ts';
import type { CliIo } from './io.ts';

/** What a command has to show, in every form it may be asked for. */
export interface Output {
  /** `aspen.<noun>.<verb>/v1`; its fields only ever grow. */
  readonly schema: string;
  readonly value: object;
  /** The key of `value` that holds the items of a list: `jsonl` writes one line for each. */
  readonly items?: string;
  readonly ids: readonly string[];
  /** For people. @param isWide show more. */
  readonly text: (isWide: boolean) => string;
  /** @default 0 */
  readonly exitCode?: number;
}

/** Writes to standard output in the chosen format. */
export async function show(io: CliIo, flags: GlobalFlags, output: Output): Promise<void> {
  const shown = await render(flags.output, output);
  const isForPeople = flags.output === 'table' || flags.output === 'wide';
  io.stdout.write(flags.hasColor && isForPeople ? paint(output.schema, shown) : shown);
}

async function render(format: GlobalFlags['output'], output: Output): Promise<string> {
  const { schema, value, items, ids, text } = output;
  switch (format) {
    case 'json':
      return `${JSON.stringify({ schema, ...value }, null, 2)}\n`;
    case 'jsonl': {
      const list =
        items === undefined ? [value] : (value as Readonly<Record<string, readonly object[]>>)[items];
      return (list ?? []).map((item) => `${JSON.stringify({ schema, ...item })}\n`).join('');
    }
    case 'yaml': {
      const { stringify } = await import('yaml');
      return stringify({ schema, ...value });
    }
    case 'id':
      return ids.map((id) => `${id}\n`).join('');
    default:
      return text(format === 'wide');
  }
}

/** Something for the person at the terminal, not data. */
export function tell(io: CliIo, flags: GlobalFlags, message: string): void {
  if (!flags.isQuiet) io.stderr.write(`${message}\n`);
}

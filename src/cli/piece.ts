import type { CommandContext } from './command.ts';

/** One of what a command shows as it comes. */
export interface Piece {
  readonly value: object;
  readonly id: string;
  /** For people: one line. */
  readonly text: string;
}

/** Writes it at once: a line for people, of JSON, or with its id; in YAML a document of its own. */
export async function showPiece(
  { io, flags }: Pick<CommandContext, 'io' | 'flags'>,
  schema: string,
  { value, id, text }: Piece,
): Promise<void> {
  io.stdout.write(await rendered());

  async function rendered(): Promise<string> {
    if (!flags.isForPrograms) return `${text}\n`;
    if (flags.output === 'id') return `${id}\n`;
    if (flags.output === 'yaml') return await yamlDocument({ schema, ...value });
    return `${JSON.stringify({ schema, ...value })}\n`;
  }
}

/** @returns the text of a document among others. */
export async function yamlDocument(value: object): Promise<string> {
  const { stringify } = await import('yaml');
  return `---\n${stringify(value)}`;
}

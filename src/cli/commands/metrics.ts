import type { Command } from 'commander';
import { AspenError } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatTable } from '../table.ts';

/** `aspen` and the part, e.g. `aspen_raft`. */
const PREFIX_WORDS = 2;

type Family = NonNullable<Result<'metrics.get'>['families']>[number];

/** `metrics`: every number that this node can tell of itself. */
export function addMetricsCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'metrics [prefix]',
    summary: 'every number that this node can tell of itself, or those whose names begin with PREFIX',
    examples: ['aspen-agent metrics aspen_raft', 'aspen-agent metrics --text', 'aspen-agent metrics -o json'],
    configure: (command) => command.option('--text', 'as Prometheus reads them'),
    run: showMetrics,
  });
}

async function showMetrics({ call, args, options, io }: CommandContext): Promise<Output | number> {
  const [prefix] = args;
  const params = prefix === undefined ? {} : { prefix };
  if (options['text'] === true) {
    const { text = '' } = await call('metrics.get', { ...params, format: 'text' });
    if (text === '' && prefix !== undefined) throw await noSuchMetric(call, prefix);
    io.stdout.write(text);
    return 0;
  }
  const { families = [] } = await call('metrics.get', params);
  if (families.length === 0 && prefix !== undefined) throw await noSuchMetric(call, prefix);
  return {
    schema: 'aspen.metrics.get/v1',
    value: { families },
    items: 'families',
    ids: families.map(({ name }) => name),
    text: (isWide) =>
      formatTable(
        ['metric', 'labels', 'value', ...(isWide ? ['help'] : [])],
        families.flatMap((family) => rowsOf(family).map((row) => [...row, ...(isWide ? [family.help] : [])])),
      ),
  };
}

async function noSuchMetric(call: CommandContext['call'], prefix: string): Promise<AspenError> {
  const { families = [] } = await call('metrics.get', {});
  const prefixes = new Set(families.map(({ name }) => name.split('_').slice(0, PREFIX_WORDS).join('_')));
  const known = [...prefixes].sort().join(', ');
  return new AspenError('NOT_FOUND', `no metric of this node begins with ${prefix}; there are ${known}`);
}

/** A histogram in a line: how many, and how large on the average. */
function rowsOf({ name, samples }: Family): string[][] {
  return samples.map((sample) => {
    const labels = Object.entries(sample.labels)
      .map(([label, value]) => `${label}=${value}`)
      .join(',');
    const value =
      'value' in sample
        ? formatNumber(sample.value)
        : `${sample.count} times, ${sample.count === 0 ? '-' : formatNumber(sample.sum / sample.count)} on average`;
    return [name, labels, value];
  });
}

function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

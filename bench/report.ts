import type { Bench, Figure } from './bench.ts';
import type { Machine } from './machine.ts';

export interface Measured {
  readonly bench: Bench;
  readonly figures: readonly Figure[];
}

export const FORMATS = {
  table: (machine: Machine, measured: readonly Measured[]) =>
    [machineLines(machine).join('\n'), ...measured.map(textTable)].join('\n\n'),
  markdown: (machine: Machine, measured: readonly Measured[]) =>
    [
      machineLines(machine)
        .map((line) => `- ${line}`)
        .join('\n'),
      ...measured.map(markdownTable),
    ].join('\n\n'),
  json: (machine: Machine, measured: readonly Measured[]) =>
    JSON.stringify(
      {
        schema: 'aspen.bench/v1',
        machine,
        benches: measured.map(({ bench, figures }) => ({ name: bench.name, method: bench.method, figures })),
      },
      null,
      2,
    ),
} as const;

export type Format = keyof typeof FORMATS;

function machineLines(machine: Machine): string[] {
  return [
    `${machine.cpu}, ${machine.coreCount} cores, ${machine.memoryGiB} GiB of memory`,
    `${machine.kernel}, Node ${machine.node}, ${machine.fileSystem}`,
    `fdatasync after appending 300 bytes: p50 ${machine.fdatasyncP50Ms} ms, p99 ${machine.fdatasyncP99Ms} ms`,
    `load of the machine by other work when the bench began: ${machine.loadBefore}`,
  ];
}

function textTable({ bench, figures }: Measured): string {
  const width = Math.max(...figures.map(({ what }) => what.length));
  const lines = figures.map(
    (line) =>
      `  ${line.what.padEnd(width)}  ${String(line.median).padStart(8)} ${line.unit}  (${spread(line)})`,
  );
  return [`${bench.name}: ${bench.method}`, ...lines].join('\n');
}

function markdownTable({ bench, figures }: Measured): string {
  const rows = figures.map((line) => `| ${line.what} | ${line.median} ${line.unit} | ${spread(line)} |`);
  return [
    `### ${bench.name}`,
    '',
    bench.method,
    '',
    '| what | median | spread |',
    '|---|---|---|',
    ...rows,
  ].join('\n');
}

function spread({ lowest, highest, runCount }: Figure): string {
  return runCount === 1 ? 'one run' : `${lowest} to ${highest}, ${runCount} runs`;
}

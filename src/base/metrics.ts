import { invariant } from './assert.ts';

export type MetricLabels = Readonly<Record<string, string>>;

/** One number of a counter or gauge. */
export interface MetricSample {
  readonly labels: MetricLabels;
  readonly value: number;
}

/** What a histogram has counted so far. */
export interface HistogramSample {
  readonly labels: MetricLabels;
  /** How many observations were at most each bound, in rising order of the bounds; all of them are in `count`. */
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly sum: number;
  readonly count: number;
}

/** All series of one name. Names end in their unit (`_seconds`, `_bytes`), counters in `_total`. Source: Prometheus, "Metric and label naming". */
export type MetricFamily = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly samples: readonly MetricSample[] }
  | { readonly type: 'histogram'; readonly samples: readonly HistogramSample[] }
);

/** Label values of one label; what has more shares one series. */
export const SERIES_LIMIT = 64;
/** The value of a label under which the rest is summed up. */
export const OTHER_SERIES = '(other)';

/** Upper bounds for durations, from a fast sync to a long job. Unit: s. */
export const DURATION_BOUNDS_S: readonly number[] = [
  0.000_25, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600,
];

/** Counts observations by size. Observing costs a short walk over the bounds and three additions, and allocates nothing. */
export class Histogram {
  readonly #bounds: Float64Array;
  /** Of each bucket alone; the last one has no bound. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds rising. */
  constructor(bounds: readonly number[] = DURATION_BOUNDS_S) {
    invariant(
      bounds.every((bound, at) => at === 0 || bound > (bounds[at - 1] as number)),
      () => `the bounds of a histogram must rise, got ${bounds.join(', ')}`,
    );
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** What is no number of its kind (a clock that went back) counts as 0. */
  observe(value: number): void {
    const observed = value > 0 ? value : 0;
    let at = 0;
    while (at < this.#bounds.length && observed > (this.#bounds[at] as number)) at += 1;
    (this.#counts[at] as number) += 1;
    this.#sum += observed;
  }

  sample(labels: MetricLabels = {}): HistogramSample {
    let count = 0;
    const buckets = [...this.#bounds].map((bound, at) => {
      count += this.#counts[at] as number;
      return [bound, count] as const;
    });
    return { labels, buckets, sum: this.#sum, count: count + (this.#counts.at(-1) as number) };
  }
}

/** Counts by one label whose values come from a closed set, e.g. error codes. */
export class CountsBy {
  readonly #counts = new Map<string, number>();

  add(value: string, count = 1): void {
    const known = this.#counts.get(value);
    if (known === undefined && this.#counts.size >= SERIES_LIMIT) this.#increase(OTHER_SERIES, count);
    else this.#counts.set(value, (known ?? 0) + count);
  }

  samples(label: string): MetricSample[] {
    return [...this.#counts].map(([value, count]) => ({ labels: { [label]: value }, value: count }));
  }

  #increase(value: string, count: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }
}

/** @returns a family with one number and no labels. */
export function metric(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  value: number | undefined,
): MetricFamily {
  return { name, help, type, samples: value === undefined ? [] : [{ labels: {}, value }] };
}

/** @returns a family with one number for each value of `label`; the smallest beyond {@link SERIES_LIMIT} are summed up as {@link OTHER_SERIES}. */
export function metricBy(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  { label, values }: { readonly label: string; readonly values: Iterable<readonly [string, number]> },
): MetricFamily {
  const sorted = [...values].toSorted(([, left], [, right]) => right - left);
  const kept = sorted.length > SERIES_LIMIT ? sorted.slice(0, SERIES_LIMIT - 1) : sorted;
  const rest = sorted.slice(kept.length).reduce((sum, [, value]) => sum + value, 0);
  const all = kept.length < sorted.length ? [...kept, [OTHER_SERIES, rest] as const] : kept;
  return {
    name,
    help,
    type,
    samples: all.map(([value, count]) => ({ labels: { [label]: value }, value: count })),
  };
}

/** @returns the text that Prometheus reads. Source: Prometheus, "Exposition formats", version 0.0.4. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return families.map(formatFamily).join('');
}

function formatFamily(family: MetricFamily): string {
  const { name, help, type } = family;
  if (family.samples.length === 0) return '';
  const head = `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
  const lines =
    family.type === 'histogram'
      ? family.samples.flatMap((sample) => histogramLines(name, sample))
      : family.samples.map(({ labels, value }) => line(name, labels, value));
  return head + lines.join('');
}

function histogramLines(name: string, { labels, buckets, sum, count }: HistogramSample): string[] {
  return [
    ...buckets.map(([bound, within]) =>
      line(`${name}_bucket`, { ...labels, le: formatNumber(bound) }, within),
    ),
    line(`${name}_bucket`, { ...labels, le: '+Inf' }, count),
    line(`${name}_sum`, labels, sum),
    line(`${name}_count`, labels, count),
  ];
}

function line(name: string, labels: MetricLabels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${formatNumber(value)}\n`;
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function formatNumber(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}

import { type MetricFamily, metric, metricBy } from '../base/index.ts';

/** What the system tells of this process. */
export interface ProcessFacts {
  /** Wall time. Unit: s. */
  readonly startedAtS: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapBytes: number;
  /** Buffers and the like, outside of the heap. */
  readonly externalBytes: number;
  /** Since the start. Unit: s. */
  readonly userCpuS: number;
  readonly systemCpuS: number;
  /** How late the event loop was, since it was last looked at. Unit: s. */
  readonly eventLoopDelayS: { readonly p50: number; readonly p99: number; readonly most: number };
  /** Share of the time in which the event loop was at work, since it was last looked at: 0 to 1. */
  readonly eventLoopUtilization: number;
  /** Null where the system does not tell. */
  readonly openFiles: number | null;
  readonly openFilesLimit: number | null;
}

/** Names as other exporters have them, so that dashboards fit. */
export function processFamilies(facts: ProcessFacts): MetricFamily[] {
  const { eventLoopDelayS: delay } = facts;
  return [
    metric('gauge', 'process_start_time_seconds', 'When the process began, since 1970.', facts.startedAtS),
    metric(
      'gauge',
      'process_resident_memory_bytes',
      'Memory in use, mapped pages of the store included.',
      facts.residentBytes,
    ),
    metricBy('gauge', 'aspen_process_memory_bytes', 'Memory of the JavaScript engine, by kind.', {
      label: 'kind',
      values: [
        ['heap_used', facts.heapUsedBytes],
        ['heap', facts.heapBytes],
        ['external', facts.externalBytes],
      ],
    }),
    metric(
      'counter',
      'process_cpu_seconds_total',
      'Processor time of user and system.',
      facts.userCpuS + facts.systemCpuS,
    ),
    metric('counter', 'process_cpu_user_seconds_total', 'Processor time of the program.', facts.userCpuS),
    metric(
      'counter',
      'process_cpu_system_seconds_total',
      'Processor time of the system for it.',
      facts.systemCpuS,
    ),
    metricBy(
      'gauge',
      'aspen_event_loop_delay_seconds',
      'How late the event loop was since the last reading.',
      {
        label: 'quantile',
        values: [
          ['0.5', delay.p50],
          ['0.99', delay.p99],
          ['1', delay.most],
        ],
      },
    ),
    metric(
      'gauge',
      'aspen_event_loop_utilization_ratio',
      'Share of time at work since the last reading.',
      facts.eventLoopUtilization,
    ),
    metric('gauge', 'process_open_fds', 'Open files and sockets.', facts.openFiles ?? undefined),
    metric('gauge', 'process_max_fds', 'Most open files and sockets.', facts.openFilesLimit ?? undefined),
  ];
}

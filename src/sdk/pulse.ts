/** Between two beats, whatever the attempts allow. */
export const SHORTEST_BEAT_MS = 50;
export const LONGEST_BEAT_MS = 10_000;

/** An attempt whose silence is limited. */
export interface PulsedAttempt {
  readonly workerId: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly heartbeatTimeoutMs: number;
}

/** Gives signs of life for attempts from `begin` to `end`, also while their handlers let nothing else run. */
export interface Pulse {
  begin(attempt: PulsedAttempt): void;
  end(attempt: PulsedAttempt): void;
  close(): void;
}

/** What the thread is told. */
export interface PulseOrder extends PulsedAttempt {
  readonly isOver: boolean;
}

export interface PulseData {
  readonly socketPath: string;
}

/** For handlers that give their own signs of life. */
export const NO_PULSE: Pulse = Object.freeze({
  begin: () => undefined,
  end: () => undefined,
  close: () => undefined,
});

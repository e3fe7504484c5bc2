/** What the command line decides about an agent it starts. An absent value is left to the environment, the file, the default. */
export interface AgentStartOptions {
  readonly dataDir: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Multiaddrs to listen on. */
  readonly listen?: readonly string[];
  /** Join this mesh instead of founding one. */
  readonly ticket?: string;
  /** Give up jobs and data of the mesh this node is in. */
  readonly abandon?: boolean;
  readonly isMdnsEnabled?: boolean;
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Called once, when the agent answers on its socket. */
  readonly onReady: (ready: AgentReady) => void;
}

export interface AgentReady {
  readonly peerId: string;
  readonly name: string;
  readonly meshId: string;
  readonly socketPath: string;
  /** Multiaddrs it listens on. */
  readonly addresses: readonly string[];
}

/**
 * Runs the agent until it is told to stop (SIGTERM, SIGINT, `agent.stop`). @returns the exit code of the process.
 * @throws AspenError when it cannot start, e.g. CONFLICT on a data directory in use, DENIED for a refused ticket.
 */
export type StartAgent = (options: AgentStartOptions) => Promise<number>;

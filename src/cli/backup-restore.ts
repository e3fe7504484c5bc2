/** What the command line asks for when it makes a data directory out of a backup. */
export interface RestoreOptions {
  readonly file: string;
  readonly dataDir: string;
  /** Only look, check, and tell. */
  readonly isDryRun: boolean;
  readonly onProgress: (progress: { readonly phase: 'check' | 'write'; readonly bytes: number }) => void;
}

export interface RestoredBackup {
  /** What the backup is of. */
  readonly header: {
    readonly meshId: string;
    readonly peerId: string;
    readonly epoch: number;
    readonly index: number;
    readonly takenAtMs: number;
  };
  readonly recordCount: number;
  readonly bytes: number;
  /** Of the mesh that begins; null in a dry run. */
  readonly meshId: string | null;
  readonly peerId: string | null;
  readonly epoch: number;
}

/** Loaded when it is needed: it brings the store and the agreed state with it. @throws AspenError when nothing was restored. */
export type RestoreBackup = (options: RestoreOptions) => Promise<RestoredBackup>;

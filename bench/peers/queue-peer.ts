/** A queue of somebody else's, running, with one worker process that does nothing with each job. */
export interface QueuePeer {
  /** Resolves when the job is stored. */
  submit(): Promise<void>;
  submitMany(count: number): Promise<void>;
  /** Jobs that are neither done nor failed. */
  unfinishedCount(): Promise<number>;
}

export const WORKER_SLOTS = 100;

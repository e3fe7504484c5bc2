/**
 * Resolves when a thread has nothing else to do, or has had much to do for a while: what can wait is done piece by piece, one at each lull, and
 * nothing else waits for the whole of it.
 */
export type Lull = () => Promise<void>;

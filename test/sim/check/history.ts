/** One operation as its client saw it. */
export interface Operation<I, O> {
  readonly client: string;
  readonly input: I;
  /** Virtual time of the call. Unit: ms. */
  readonly calledMs: number;
  /**
   * What came back. Absent when the outcome is unknown (no answer, or an answer that says so): it may have taken effect at any time after the
   * call, or may yet, or never. An operation that definitely did not happen is left out of the history.
   */
  readonly result?: { readonly output: O; readonly atMs: number };
}

/** What a sequential object does. */
export interface Model<S, I, O> {
  readonly initial: S;
  /**
   * @param output absent when the outcome is unknown: any would do.
   * @returns the next state; undefined when the object, being in `state`, could not have answered so.
   */
  step(state: S, input: I, output: O | undefined): S | undefined;
  /** Whether it leads to the same state from wherever it may take effect, or changes nothing. @default false; only makes the search shorter */
  isBlind?(input: I): boolean;
  /** Equal for equal states. */
  keyOf(state: S): string;
  /** For reports. */
  describe(input: I, output: O | undefined): string;
}

/** Why an agent cannot run where it was told to. It is for the person who told it to: the message says what to change. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
}

/**
 * Where parts say what happened. Fields carry facts, the message is a fixed lower-case phrase. `info` is what an operator
 * would want to be told. pino has this shape; simulations collect instead.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: { readonly part: string }): Logger;
}

/** Says nothing. For tests whose subject is not the log. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

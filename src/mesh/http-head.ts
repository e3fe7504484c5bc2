import { AspenError } from '../base/index.ts';

/** The beginning of an answer over HTTP/1.1. */
export interface HttpHead {
  readonly status: number;
  readonly reason: string;
  /** By names in lower case; of a name that comes twice, the first. */
  readonly headers: ReadonlyMap<string, string>;
  /** What came behind it already. */
  readonly rest: Uint8Array;
}

export const HTTP_HEAD_BYTES_LIMIT = 8 * 2 ** 10;
export const HTTP_HEADERS_LIMIT = 100;
const END = '\r\n\r\n';
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;
/** What may be shown to people. */
const REASON_CHARACTERS_LIMIT = 80;

/** Gathers the head of an answer, which may come in any pieces. */
export class HttpHeadReader {
  #bytes: Buffer = Buffer.alloc(0);

  /**
   * @returns undefined until the head is whole; not to be called after that.
   * @throws AspenError INVALID_REQUEST for more than {@link HTTP_HEAD_BYTES_LIMIT}, and for what is no HTTP.
   */
  push(chunk: Uint8Array): HttpHead | undefined {
    const room = HTTP_HEAD_BYTES_LIMIT - this.#bytes.length;
    const before = this.#bytes.length;
    this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(0, room)]);
    const end = this.#bytes.indexOf(END, Math.max(0, before - END.length), 'latin1');
    if (end >= 0) {
      const inChunk = end + END.length - before;
      return { ...readHead(this.#bytes.toString('latin1', 0, end)), rest: chunk.subarray(inChunk) };
    }
    if (this.#bytes.length >= HTTP_HEAD_BYTES_LIMIT) throw malformed('its head does not end');
    if (!'HTTP/1.'.startsWith(this.#bytes.toString('latin1', 0, 7))) throw malformed('it is something else');
    return undefined;
  }
}

/** @param text without the empty line at the end. */
function readHead(text: string): Omit<HttpHead, 'rest'> {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const [, status, reason = ''] = STATUS_LINE.exec(statusLine) ?? [];
  if (status === undefined) throw malformed('it is something else');
  if (lines.length > HTTP_HEADERS_LIMIT) throw malformed(`it has more than ${HTTP_HEADERS_LIMIT} headers`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ''] = HEADER.exec(line) ?? [];
    if (name === undefined) throw malformed('a header is malformed');
    if (!headers.has(name.toLowerCase())) headers.set(name.toLowerCase(), value);
  }
  return { status: Number(status), reason: shown(reason), headers };
}

/** It goes to terminals and logs. */
function shown(reason: string): string {
  return reason.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, REASON_CHARACTERS_LIMIT);
}

function malformed(why: string): AspenError {
  return new AspenError('INVALID_REQUEST', `no answer over HTTP: ${why}`);
}

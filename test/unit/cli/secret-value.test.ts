import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { Interrupted, reportFailure } from '../../../src/cli/failure.ts';
import type { CliIo } from '../../../src/cli/io.ts';
import { readSecretValue } from '../../../src/cli/secret-value.ts';

describe('the value of a secret, typed', () => {
  function terminal(typed: string) {
    const told: string[] = [];
    const rawModes: boolean[] = [];
    const stdin = Object.assign(Readable.from([Buffer.from(typed)]), {
      isTTY: true,
      setRawMode: (isRaw: boolean) => void rawModes.push(isRaw),
    });
    const io: Pick<CliIo, 'stdin' | 'stdout' | 'stderr'> = {
      stdin,
      stdout: { isTTY: true, write: () => assert.fail('the value was shown') },
      stderr: { isTTY: true, write: (text) => void told.push(Buffer.from(text).toString()) },
    };
    return { io, told, rawModes };
  }

  it('is read unseen up to the end of the line, as it was corrected', async () => {
    const { io, told, rawModes } = terminal('hunter3\u007f2\nnot of it');
    assert.equal(Buffer.from(await readSecretValue(io, undefined)).toString(), 'hunter2');
    assert.deepEqual(
      [told, rawModes],
      [
        ['value (not shown): ', '\n'],
        [true, false],
      ],
    );
  });

  it('is nothing where it was interrupted, and the code says so', async () => {
    const { io, told, rawModes } = terminal('hunt\u0003');
    const error = await readSecretValue(io, undefined).catch((cause: unknown) => cause);
    assert.ok(error instanceof Interrupted);
    assert.equal(reportFailure(io, error, '/data'), 130);
    assert.deepEqual(rawModes, [true, false]);
    assert.equal(told.at(-1), 'aspen-agent: interrupted: nothing was set\n');
  });
});

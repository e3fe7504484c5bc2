import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRoomIn, spareBytes } from '../../../src/storage/lmdb-room.ts';
import { osDiskRoom } from '../../../src/storage/os-disk-room.ts';

describe('the room on a disk', () => {
  const path = join(tmpdir(), 'store');

  it('is what the disk has beside its reserve, asked for once or again and again', () => {
    const hasRoom = osDiskRoom(path);
    for (let look = 0; look < 3; look += 1) {
      assert.equal(hasRoom(1), isRoomIn(spareBytes(path), 1));
      assert.equal(hasRoom(2 ** 60), false);
    }
  });

  it('is taken twice by what is written, and by the way to it', () => {
    assert.equal(isRoomIn(2 ** 18, 0), true);
    assert.equal(isRoomIn(2 ** 18 + 20, 10), true);
    assert.equal(isRoomIn(2 ** 18 + 19, 10), false);
  });
});

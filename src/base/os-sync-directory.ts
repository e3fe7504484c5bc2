import { open } from 'node:fs/promises';

/** A file that was made, renamed or removed is so after a power cut only when its directory was synced. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return; // NTFS journals renames, and directories cannot be opened there
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

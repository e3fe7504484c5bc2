import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A text as bytes, as JavaScript keeps wide strings, and as it travels in JSON. */
export function formsOf(text: string): Buffer[] {
  return [Buffer.from(text), Buffer.from(text, 'utf16le'), Buffer.from(Buffer.from(text).toString('base64'))];
}

export function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** @returns the files below a directory that have one of the texts in any of their forms. Agents may run meanwhile. */
export function filesWith(texts: readonly string[], directory: string): string[] {
  const forms = texts.flatMap(formsOf);
  return filesBelow(directory).filter((path) => {
    const bytes = bytesOf(path);
    return forms.some((form) => bytes.includes(form));
  });
}

/** @returns nothing of a file that was renamed or removed since it was listed, as what is being written is. */
function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}
